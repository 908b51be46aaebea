"""Which tokens there are: the most frequent unigrams, bigrams and character n-grams of the training texts."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.config import TextConfig
from tfsage.errors import TfsageError
from tfsage.text.counting import TokenCounter

KINDS = ("unigrams", "bigrams", "character_ngrams")
"""The kinds of tokens, in the order of their ids; a vocabulary folder has one text file for each."""

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Tokens and their ids: a token's id is the first id of its kind plus its line in the file of its kind.

    Attributes:
        config: the tokenization and the sizes the vocabulary was built with.
        tokens: kind -> its tokens, most frequent first, ties in order of their code points. "_" stands between the
            words of a bigram and at the ends of a word in a character n-gram.
        counts: int64 [size], occurrences in the texts it was built from.
        documents: int64 [size], texts that contain the token.
        document_count: texts with at least one token.
    """

    config: TextConfig
    tokens: dict[str, list[str]]
    counts: np.ndarray
    documents: np.ndarray
    document_count: int

    @property
    def size(self) -> int:
        return sum(self.kind_sizes)

    @property
    def kind_sizes(self) -> tuple[int, ...]:
        """How many unigrams, bigrams and character n-grams there are."""
        return tuple(len(self.tokens[kind]) for kind in KINDS)

    @property
    def first_ids(self) -> tuple[int, ...]:
        """The id of the first unigram (0), bigram and character n-gram."""
        return tuple(accumulate(self.kind_sizes, initial=0))[:-1]

    def idf(self) -> np.ndarray:
        """float32 [size]: log(1 + (N - n + 1/2) / (n + 1/2)), as in BM25; positive also for a token of every text."""
        rest = self.document_count - self.documents
        return np.log1p((rest + 0.5) / (self.documents + 0.5)).astype(np.float32)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokenization and the tokens: equal exactly if every text gets the same ids."""
        digest = hashlib.sha256(self.config.model_dump_json().encode())
        for kind in KINDS:
            digest.update(f"\n\n{kind}\n".encode() + "\n".join(self.tokens[kind]).encode())
        return digest.hexdigest()

    def save(self, folder: str | Path) -> None:
        """Writes the folder; it appears only when it is complete, and replaces one that is already there."""
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as aside:
            staged = Path(aside) / "new"
            staged.mkdir()
            for kind in KINDS:
                (staged / f"{kind}.txt").write_text("".join(f"{t}\n" for t in self.tokens[kind]), encoding="utf-8")
            pq.write_table(pa.table({"count": self.counts, "documents": self.documents}), staged / "counts.parquet")
            about = {
                "format": _FORMAT,
                "config": self.config.model_dump(mode="json"),
                "document_count": self.document_count,
                "fingerprint": self.fingerprint,
            }
            (staged / "vocabulary.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            if folder.exists():
                os.replace(folder, Path(aside) / "old")
            os.replace(staged, folder)

    @classmethod
    def load(cls, folder: str | Path) -> "Vocabulary":
        """Reads a folder that `save` wrote.

        Raises:
            TfsageError: it is not a vocabulary of this version, or its files do not belong together.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
            if about["format"] != _FORMAT:
                raise TfsageError(f"{folder}: vocabulary format {about['format']}, this version reads {_FORMAT}")
            counts = pq.read_table(folder / "counts.parquet")
            vocabulary = cls(
                config=TextConfig.model_validate(about["config"]),
                tokens={kind: _read_lines(folder / f"{kind}.txt") for kind in KINDS},
                counts=counts["count"].to_numpy(),
                documents=counts["documents"].to_numpy(),
                document_count=about["document_count"],
            )
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise TfsageError(f"{folder}: not a vocabulary folder ({error}); run `tfsage prepare` again") from None
        if vocabulary.fingerprint != about["fingerprint"] or len(vocabulary.counts) != vocabulary.size:
            raise TfsageError(f"{folder}: the vocabulary's files were changed; run `tfsage prepare` again")
        return vocabulary


def build_vocabulary(texts: Iterable[list[str]], config: TextConfig, out: str | Path) -> Vocabulary:
    """Counts the tokens of all texts, keeps the most frequent of each kind, and writes the vocabulary folder.

    The result depends on the texts only, not on their order or batches. Memory is bounded by the largest batch, the
    vocabulary itself and DuckDB's limit of 1 GB; counts are spilled beside `out`.

    Args:
        texts: batches of texts (some thousands each); every text is one document.
        config: the tokenization and how many tokens of each kind to keep.
        out: the folder to write.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        counter = TokenCounter(config, Path(scratch))
        for batch in texts:
            counter.add(batch)
        tables = {kind: counter.most_frequent(number, getattr(config, kind)) for number, kind in enumerate(KINDS)}
    merged = pa.concat_tables(tables.values())
    vocabulary = Vocabulary(
        config=config,
        tokens={kind: table["token"].to_pylist() for kind, table in tables.items()},
        counts=merged["count"].to_numpy(),
        documents=merged["documents"].to_numpy(),
        document_count=counter.document_count,
    )
    vocabulary.save(out)
    return vocabulary


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]
