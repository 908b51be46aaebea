"""Vocabularies from the texts that may be learned from, and the token stores of the catalogs."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfsage.config import TextConfig
from tfsage.data.catalog import entity_texts
from tfsage.data.schema import TABLE_OF_TYPE
from tfsage.data.stores import RaggedWriter, StringStore
from tfsage.data.tables import BATCH_ROWS
from tfsage.text.ngrams import Ngrams
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.text.vocabulary import KINDS, Vocabulary, build_vocabulary

_COVERAGE_BATCHES = 4


class TokenSteps:
    """The steps of preparation that tokenize; every text goes through the graph that is exported with the towers.

    Args:
        folder: the prepared folder, with the tables of the entities and the stores of the queries.
        fields: the text columns of each entity type that has any.
        config: the tokenization and the vocabulary sizes.
    """

    def __init__(self, folder: Path, fields: dict[str, tuple[str, ...]], config: TextConfig):
        self._folder, self._fields, self._config = folder, fields, config

    def build_vocabulary(self, training_queries: np.ndarray, advance: Callable[[int], None]) -> Vocabulary:
        """Counts the catalogs and the training queries (rows, int64); dev and test queries are never looked at."""
        texts = chain(
            *[self._entity_texts(kind, advance) for kind in self._fields], self._query_texts(training_queries)
        )
        return build_vocabulary(texts, self._config, self._folder / "vocabulary")

    def write_tokens(self, advance: Callable[[int], None]) -> None:
        """Writes stores/KIND/tokens: token ids (int32) of field f of entity e in row e * len(fields) + f."""
        tokenize = tf.function(self._tokenizer, input_signature=[tf.TensorSpec([None], tf.string)])
        for kind in self._fields:
            with RaggedWriter(self._folder / "stores" / kind / "tokens", np.int32) as writer:
                for batch in self._entity_texts(kind, advance):
                    tokens = tokenize(tf.constant(batch, tf.string))
                    writer.append(tokens.flat_values.numpy(), np.diff(tokens.row_splits.numpy()))

    def known_shares(self, query_rows: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """The share of tokens of each kind that the vocabulary has, among the first few thousand texts.

        Args:
            query_rows: rows of text queries (int64) under the name to report them by.

        Returns:
            kind -> share, for `products`, `pins` and each of the queries' names.
        """
        texts = {name: self._query_texts(rows) for name, rows in query_rows.items()}
        texts |= {TABLE_OF_TYPE[kind]: self._entity_texts(kind, lambda _: None) for kind in self._fields}
        return {name: self._share_known(islice(batches, _COVERAGE_BATCHES)) for name, batches in texts.items()}

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary.load(self._folder / "vocabulary")

    @cached_property
    def _tokenizer(self) -> NgramTokenizer:
        return NgramTokenizer(self._vocabulary, self._config)

    def _share_known(self, batches: Iterable[list[str]]) -> dict[str, float]:
        ngrams = Ngrams(self._config)
        known, total = np.zeros(len(KINDS), np.int64), np.zeros(len(KINDS), np.int64)
        for batch in batches:
            texts = tf.constant(batch, tf.string)
            kinds = np.searchsorted(self._vocabulary.first_ids, self._tokenizer(texts).flat_values, side="right") - 1
            known += np.bincount(kinds, minlength=len(KINDS))
            for span in ngrams(texts)[1]:
                total[span.kind] += len(span.keys)
        return {kind: float(known[place] / max(total[place], 1)) for place, kind in enumerate(KINDS)}

    def _query_texts(self, rows: np.ndarray) -> Iterator[list[str]]:
        for start in range(0, len(rows), BATCH_ROWS):
            store = StringStore(self._folder / "stores" / "query" / "texts")
            yield store.gather(rows[start : start + BATCH_ROWS])

    def _entity_texts(self, kind: str, advance: Callable[[int], None]) -> Iterator[list[str]]:
        fields = self._fields[kind]
        for batch in entity_texts(self._folder, kind, fields) if fields else ():
            yield batch
            advance(len(batch) // len(fields))
