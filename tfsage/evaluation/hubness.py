"""Hubness: how unevenly the catalog appears in the top k of many queries (research: always beside a reference)."""

from collections.abc import Mapping

import numpy as np

HUB_SHARE = 0.1
HUB_RATIO = 3.0
"""A product that stands in more than `HUB_SHARE` of the lists is a hub when its share of all their places is also more
than `HUB_RATIO` times what the most engaged product has of all engagements: a bestseller may be shown often."""

NARROW_RATIO = 2.0
"""Lists that show less than so many times the products of a popularity ranker are all the same."""

_FEW_LISTS = 10


def occurrences(neighbours: np.ndarray, products: int) -> np.ndarray:
    """N_k(y), int64 [products]: in how many of the lists `neighbours`, int64 [queries, k], -1 = none, y stands."""
    return np.bincount(neighbours[neighbours >= 0], minlength=products)


def concentration(counts: np.ndarray, queries: int) -> dict[str, float]:
    """How concentrated the occurrences are.

    Args:
        counts: int64 [products], N_k(y), not all zero.
        queries: number of lists.

    Returns:
        max_share: share of the lists in which the most frequent product stands.
        max_places: share of all places in the lists that it takes.
        above_10_percent, above_1_percent: number of products that stand in more than that share of the lists.
        skewness: of N_k over the catalog (population form); 0 when all are equal.
        gini: 0 for an even spread, towards 1 for a single hub.
        coverage: share of the catalog that stands in any list.
        expected_frequency: Σ N² / Σ N, the mean N_k of a product met in a list.
    """
    counts = np.sort(counts.astype(np.float64))
    n, total = len(counts), counts.sum()
    deviation = counts.std()
    skewness = ((counts - counts.mean()) ** 3).mean() / deviation**3 if deviation else 0.0
    return {
        "max_share": float(counts[-1] / queries),
        "max_places": float(counts[-1] / total),
        "above_10_percent": int((counts > 0.1 * queries).sum()),
        "above_1_percent": int((counts > 0.01 * queries).sum()),
        "skewness": float(skewness),
        "gini": float(((2 * np.arange(1, n + 1) - n - 1) * counts).sum() / (n * total)),
        "coverage": float((counts > 0).mean()),
        "expected_frequency": float((counts**2).sum() / total),
    }


def hub_alarm(
    k: int,
    queries: int,
    model: Mapping[str, float],
    engaged: Mapping[str, float],
    popularity: Mapping[str, float] | None,
) -> str | None:
    """What is wrong with the model's hubness, in a sentence, or None.

    A share alone says little, since people do want bestsellers; the alarm rings on ratios to the two references.

    Args:
        k: length of the lists.
        queries: number of lists; fewer than ten say nothing.
        model, engaged, popularity: what `concentration` says of the model's lists, of the products that each query
            engaged with, and of the lists of a popularity ranker.
    """
    if queries < _FEW_LISTS:
        return None
    if model["max_share"] > HUB_SHARE:
        top, reference = model["max_places"], engaged["max_places"]
        if top > HUB_RATIO * reference:
            return (
                f"one product stands in {model['max_share']:.0%} of the top {k} lists, {top / reference:.1f} times the "
                "share that the most engaged product has of the engagements: a hub"
            )
    narrow = 0.0 if popularity is None else NARROW_RATIO * popularity["coverage"]
    # In a catalog hardly longer than a list all lists are alike, and rightly so.
    if model["coverage"] < narrow <= 0.5:
        return (
            f"the top {k} lists of {queries:,} queries show {model['coverage']:.2%} of the catalog, hardly more than a "
            f"popularity ranker's {popularity['coverage']:.2%}: all queries get the same products"
        )
    return None


def mean_cosine(vectors: np.ndarray) -> float:
    """The mean cosine of two different rows of `vectors` (float32 [n, d], unit); near 1 when they have collapsed.

    A single row has no other: 0.
    """
    n = len(vectors)
    if n < 2:
        return 0.0
    total = np.zeros(vectors.shape[1])
    for start in range(0, n, 65_536):
        total += vectors[start : start + 65_536].sum(axis=0, dtype=np.float64)
    # |Σ v|² counts every ordered pair, and every vector with itself once.
    return float((np.square(total).sum() - n) / (n * (n - 1)))
