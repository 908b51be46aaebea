"""Strata: groups of pairs that a mean hides, such as rare products, new queries, or products without an image."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

DECILES = 10
LONGEST_QUERY = 5
"""Queries of so many words and more are one group."""


class Stratum(NamedTuple):
    """One way to divide the pairs of a task.

    code: int64 [pairs], the place in `names` of the group that a pair is in; -1 where it is in none.
    names: of the groups, in the order in which they are shown.
    """

    code: np.ndarray
    names: tuple[str, ...]

    def groups(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each group that has pairs, with its pairs: int64, rising."""
        for place, name in enumerate(self.names):
            pairs = np.flatnonzero(self.code == place)
            if len(pairs):
                yield name, pairs


def popularity_deciles(popularity: np.ndarray, product: np.ndarray) -> Stratum:
    """Pairs by how popular their product is in training.

    The products that were engaged with at all are ordered by popularity and cut into ten groups of about the same
    number of products: decile 1 the least popular, decile 10 the most. Equally popular products share a decile, that
    of the middle of them. Products without any engagement are a group before the first.

    Args:
        popularity: float [products], engagements in training.
        product: int64 [pairs], rows of the catalog.
    """
    engaged = np.sort(popularity[popularity > 0])
    value = popularity[product]
    middle = (np.searchsorted(engaged, value, "left") + np.searchsorted(engaged, value, "right")) / 2
    decile = np.minimum((middle * DECILES / max(len(engaged), 1)).astype(np.int64), DECILES - 1)
    names = ("no engagements", *[f"decile {place}" for place in range(1, DECILES + 1)])
    return Stratum(np.where(value > 0, decile + 1, 0), names)


def cold_start(product_seen: np.ndarray) -> Stratum:
    """Pairs by whether their product occurs in training: bool [pairs]."""
    return Stratum(np.where(product_seen, 1, 0), ("cold", "warm"))


def novelty(query_seen: np.ndarray, product_seen: np.ndarray) -> Stratum:
    """Pairs by whether their query and their product occur in training: bool [pairs] each."""
    names = tuple(f"{query} query, {product} product" for query in ("seen", "novel") for product in ("seen", "novel"))
    return Stratum(2 * ~query_seen + 1 * ~product_seen, names)


def modality(has_text: np.ndarray, has_image: np.ndarray) -> Stratum:
    """Pairs by what is known of their product: bool [pairs] each."""
    return Stratum(2 * ~has_text + 1 * ~has_image, ("text and image", "text only", "image only", "neither"))


def query_length(texts: Sequence[str]) -> Stratum:
    """Pairs by the number of words of their query, whose text is given for each pair."""
    words = np.array([len(text.split()) for text in texts], np.int64)
    names = ("1", *[str(count) for count in range(2, LONGEST_QUERY)], f"{LONGEST_QUERY}+")
    return Stratum(np.clip(words, 1, LONGEST_QUERY) - 1, names)


def labelled(labels: Sequence[str | None]) -> Stratum:
    """Pairs by a label of any kind, in alphabetical order; pairs without a label are in no group."""
    names = tuple(sorted({label for label in labels if label}))
    place = {name: code for code, name in enumerate(names)}
    return Stratum(np.array([place.get(label, -1) for label in labels], np.int64), names)
