"""When two queries are variants of one."""

import re
import unicodedata

import Stemmer

_WORD = re.compile(r"\w+")
_STEMMER = Stemmer.Stemmer("english")


def text_key(text: str) -> str:
    """What variants of a query have in common: its case-folded, stemmed words in alphabetical order, each once.

    "Walnut Desks" and "desk, walnut" have the same key. A text without any word is its own key.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(sorted(set(_STEMMER.stemWords(words)))) or text
