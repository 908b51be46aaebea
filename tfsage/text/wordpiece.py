"""A WordPiece vocabulary learned from a shop's own queries, for a DistilBERT tower without pretrained weights."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib

from tfsage.errors import TfsageError
from tfsage.files import write_text

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# Punctuation and CJK characters are words of their own.
_ONE_CHARACTER_WORD = r"[!-/:-@\[-`{-~\p{P}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2FA1F}]"
_BETWEEN_WORDS = r"[\s\p{Z}]+|" + _ONE_CHARACTER_WORD
_FEWEST_OCCURRENCES = 2
_BATCH = 4096


def learn_wordpiece(texts: Iterable[str], size: int, out: str | Path) -> Path:
    """Learns a WordPiece vocabulary with TensorFlow Text's trainer and writes it, one token per line.

    Text is case-folded and split as BERT does. Only pieces that occur at least twice are kept, so that few texts give
    fewer tokens than asked for; every character of the texts is kept, up to the trainer's limit of 1,000.

    Args:
        texts: the texts, read once.
        size: the most tokens, the five special ones included.
        out: the file to write.

    Returns:
        `out`.

    Raises:
        TfsageError: there is no word in the texts, or `size` is too small for their characters.
    """
    counts = _count_words(texts)
    if not counts:
        raise TfsageError("wordpiece: there are no training queries with text to learn a vocabulary from")
    tokens = wordpiece_tokenizer_learner_lib.learn(
        sorted(counts.items()), size, SPECIAL_TOKENS, lower_thresh=_FEWEST_OCCURRENCES
    )
    if len(tokens) > size:
        raise TfsageError(
            f"wordpiece: a vocabulary_size of {size} cannot hold the characters of the training queries alone; "
            f"give at least {len(tokens)}"
        )
    out = Path(out)
    write_text(out, "".join(f"{token}\n" for token in tokens))
    return out


def training_wordpiece(texts: Iterable[str], size: int, folder: str | Path) -> Path:
    """The vocabulary that `learn_wordpiece` makes of these texts, learned once and then kept in `folder`."""
    texts = list(texts)
    digest = hashlib.sha256(f"{size}\n".encode() + "\n".join(texts).encode()).hexdigest()[:12]
    path = Path(folder) / f"wordpiece-{digest}.txt"
    return path if path.exists() else learn_wordpiece(texts, size, path)


def _count_words(texts: Iterable[str]) -> Counter:
    texts, counts = iter(texts), Counter()
    while batch := list(islice(texts, _BATCH)):
        folded = tf_text.case_fold_utf8(tf.constant(batch))
        words = tf_text.regex_split(folded, _BETWEEN_WORDS, keep_delim_regex_pattern=_ONE_CHARACTER_WORD)
        counts.update(words.flat_values.numpy().tolist())
    return Counter({word.decode(): count for word, count in counts.items()})
