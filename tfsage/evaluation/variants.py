"""Variants: rows of the catalog that are one article, in another size or colour, and no fair competitors of it."""

import numpy as np


def variants_of(query: np.ndarray, product: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every query with every product that is in one group with a product of the query, that product included.

    Args:
        query: int64 [m].
        product: int64 [m], rows of the catalog.
        group: int64 [products], -1 for products without variants.

    Returns:
        query int64 [n] and product int64 [n], distinct pairs.
    """
    members = np.argsort(group, kind="stable")
    ordered = group[members]
    grouped = group[product] >= 0
    pairs = np.unique(np.stack([query[grouped], group[product[grouped]]]), axis=1)
    first, last = np.searchsorted(ordered, pairs[1], "left"), np.searchsorted(ordered, pairs[1], "right")
    lengths = last - first
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(pairs[0], lengths), members[np.repeat(first, lengths) + within]
