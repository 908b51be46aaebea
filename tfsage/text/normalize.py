"""From raw text to comparable text, in the graph."""

import functools
import re
import unicodedata

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from tfsage.config import TextConfig

_STEMMING_RULES = (
    (r"['’]s\b", ""),
    (r"([a-z]{2,})ies\b", r"\1y"),
    (r"([a-z]+(?:ss|x|z|ch|sh))es\b", r"\1"),
    (r"([a-z]{2,}[a-rtv-z])s\b", r"\1"),
)
"""English plurals and possessives: (RE2 pattern, replacement), applied in this order to case-folded text."""

_NUMBER_BORDERS = ((r"(\pN)(\pL)", r"\1 \2"), (r"(\pL)(\pN)", r"\1 \2"))


def normalize(texts: tf.Tensor, config: TextConfig) -> tf.Tensor:
    """NFKC with case folding (Unicode's NFKC_Casefold, which also drops soft hyphens and zero-width characters).

    Args:
        texts: string [n], UTF-8; bytes that are not UTF-8 are left for the decoder to replace.
        config: `split_numbers` parts numbers from letters ("12ft" as "12 ft"), `light_stemming` strips English plurals
            and possessives.

    Returns:
        string [n].
    """
    texts = tf_text.case_fold_utf8(texts)
    rules = (*_NUMBER_BORDERS * config.split_numbers, *_STEMMING_RULES * config.light_stemming)
    for pattern, replacement in rules:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return texts


def split_words(text: str, config: TextConfig) -> list[str]:
    """The words of a text as it is written; what `normalize` and the tokenizer make of them, outside the graph."""
    return re.findall(r"[^\W\d_]+|\d+" if config.split_numbers else r"[^\W_]+", text)


def normalize_word(word: str, config: TextConfig) -> str:
    """One word as the tokens of a vocabulary are written; the same rules as `normalize`, outside the graph."""
    word = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())
    if config.light_stemming:
        for pattern, replacement in _STEMMING_RULES:
            word = re.sub(pattern, replacement, word)
    return word


@functools.cache
def word_characters() -> np.ndarray:
    """bool [0x110000]: which code points belong to words: letters, numbers, and the combining marks that follow them.

    Everything else separates words. Marks count because many scripts write vowels with them.
    """
    kinds = {"L", "N"}
    categories = (unicodedata.category(chr(code)) for code in range(0x110000))
    return np.fromiter((kind[0] in kinds or kind in ("Mn", "Mc") for kind in categories), bool, 0x110000)
