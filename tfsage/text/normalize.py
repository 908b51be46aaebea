"""From raw text to comparable text, in the graph."""

import functools
import re
import unicodedata

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

_STEMMING_RULES = (
    (r"['’]s\b", ""),
    (r"([a-z]{2,})ies\b", r"\1y"),
    (r"([a-z]+(?:ss|x|z|ch|sh))es\b", r"\1"),
    (r"([a-z]{2,}[a-rtv-z])s\b", r"\1"),
)
"""English plurals and possessives: (RE2 pattern, replacement), applied in this order to case-folded text."""


def normalize(texts: tf.Tensor, light_stemming: bool) -> tf.Tensor:
    """NFKC with case folding (Unicode's NFKC_Casefold, which also drops soft hyphens and zero-width characters).

    Args:
        texts: string [n], UTF-8; bytes that are not UTF-8 are left for the decoder to replace.
        light_stemming: also strips English plurals and possessives.

    Returns:
        string [n].
    """
    texts = tf_text.case_fold_utf8(texts)
    if light_stemming:
        for pattern, replacement in _STEMMING_RULES:
            texts = tf.strings.regex_replace(texts, pattern, replacement)
    return texts


def normalize_word(word: str, light_stemming: bool) -> str:
    """One word as the tokens of a vocabulary are written; the same rules as `normalize`, outside the graph."""
    word = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())
    if light_stemming:
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
