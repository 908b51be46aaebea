"""Hubness: how unevenly the catalog appears in the top k of many queries (research: always beside a reference)."""

import numpy as np


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
        "above_10_percent": int((counts > 0.1 * queries).sum()),
        "above_1_percent": int((counts > 0.01 * queries).sum()),
        "skewness": float(skewness),
        "gini": float(((2 * np.arange(1, n + 1) - n - 1) * counts).sum() / (n * total)),
        "coverage": float((counts > 0).mean()),
        "expected_frequency": float((counts**2).sum() / total),
    }


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
