"""Queries made from catalog text, and the spelling mistakes that people make in queries."""

from collections.abc import Callable

import numpy as np

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def misspell(text: str, rng: np.random.Generator) -> str:
    """One spelling mistake: a letter swapped, dropped, doubled or replaced, or two words joined or one split.

    Texts of fewer than four characters are returned unchanged: a mistake would leave nothing to recognise.
    """
    if len(text) < 4:
        return text
    place = int(rng.integers(1, len(text) - 1))
    kind = int(rng.integers(6))
    if kind == 0:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if kind == 1:
        return text[:place] + text[place + 1 :]
    if kind == 2:
        return text[:place] + text[place] + text[place:]
    if kind == 3:
        return text[:place] + _LETTERS[int(rng.integers(26))] + text[place + 1 :]
    if kind == 4:
        words = text.split(" ")
        if len(words) > 1:
            first = int(rng.integers(len(words) - 1))
            return " ".join([*words[:first], words[first] + words[first + 1], *words[first + 2 :]])
    return text[:place] + " " + text[place:]


class CatalogQueries:
    """Makes a query out of a product's title: half the time a contiguous span of it, otherwise some of its words.

    Words are drawn without replacement with probability proportional to their inverse document frequency, so that
    the words which tell products apart are kept more often; they keep their order.

    Args:
        idf: gives the inverse document frequency of a word, above zero.
        split: parts a title into words.
        longest: the largest number of words in a query; lengths are 1 + Binomial(longest − 1, 1/2), about as people's.
    """

    def __init__(self, idf: Callable[[str], float], split: Callable[[str], list[str]] = str.split, longest: int = 6):
        self._idf = idf
        self._split = split
        self._longest = longest

    def __call__(self, title: str, rng: np.random.Generator) -> str:
        words = self._split(title)
        if len(words) < 2:
            return title
        count = min(len(words), 1 + int(rng.binomial(self._longest - 1, 0.5)))
        if rng.random() < 0.5:
            start = int(rng.integers(len(words) - count + 1))
            return " ".join(words[start : start + count])
        weights = np.array([self._idf(word) for word in words])
        # The largest of log(u)/weight draw without replacement in proportion to the weights (Efraimidis, 2006).
        keys = np.log(rng.random(len(words))) / weights
        return " ".join(words[place] for place in np.sort(np.argsort(-keys)[:count]))
