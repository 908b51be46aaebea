"""Reciprocal-rank fusion of two rankings (Cormack, Clarke and Büttcher, SIGIR 2009)."""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.stats import rankdata

from tfsage.evaluation.dense_ranks import UNIT_TOLERANCE

K = 60
"""The constant of the paper."""

DEPTH = 1000
"""How far down a ranking counts; below it a product contributes nothing."""

_CELLS = 32_000_000


def reciprocal_ranks(scores: np.ndarray, above: float = -np.inf) -> np.ndarray:
    """1 / (K + rank) of every product of one ranking.

    Args:
        scores: floating [products], not NaN. Equal scores share the mean of their ranks.
        above: products that do not score higher are not in the ranking.

    Returns:
        float64 [products], 0 for products that are not in the ranking or below `DEPTH`.
    """
    ranked = np.flatnonzero(scores > above)
    if len(ranked) > DEPTH:
        ranked = ranked[scores[ranked] >= np.partition(scores[ranked], -DEPTH)[-DEPTH]]
    reciprocal = np.zeros(len(scores))
    reciprocal[ranked] = 1 / (K + rankdata(-scores[ranked], method="average"))
    return reciprocal


def fused_rows(dense: Iterable[np.ndarray], lexical: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """For each query the fused score of all products, a fresh float64 [products].

    Args:
        dense: for each query its dot products, float32 [products]; those closer than the tolerance of ties are tied.
        lexical: for each query its scores, floating [products]; a product with score 0 was not found.
    """
    for by_vector, by_text in zip(dense, lexical, strict=True):
        yield reciprocal_ranks(np.rint(by_vector / UNIT_TOLERANCE)) + reciprocal_ranks(by_text, above=0.0)


def dense_rows(queries: np.ndarray, products: np.ndarray) -> Iterator[np.ndarray]:
    """For each query its dot products with all products, float32 [products]; computed for many queries at once."""
    step = max(1, _CELLS // len(products))
    for start in range(0, len(queries), step):
        yield from queries[start : start + step] @ products.T
