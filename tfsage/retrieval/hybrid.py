"""Search by vector and by words at once: reciprocal-rank fusion with BM25."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tfsage.evaluation.bm25 import BM25
from tfsage.evaluation.fusion import DEPTH, reciprocal_ranks
from tfsage.retrieval.searcher import Searcher


class FusedHit(NamedTuple):
    """A product: its row and fused score, and its place (from 1) and score in each ranking, None where it is not."""

    row: int
    score: float
    dense: tuple[int, float] | None
    lexical: tuple[int, float] | None


class Hybrid:
    """BM25 over the texts of products, beside a searcher.

    Args:
        searcher: over the same products.
        texts: one per product.
    """

    def __init__(self, searcher: Searcher, texts: Iterable[str]):
        self._searcher, self._bm25 = searcher, BM25(texts)

    def search(
        self,
        text: str,
        query: np.ndarray,
        k: int,
        allowed: np.ndarray | None,
        excluded: np.ndarray,
        shown: np.ndarray | None = None,
    ) -> list[FusedHit]:
        """The `k` products with the highest sum of 1 / (60 + rank), each ranking counted to its first 1,000 places.

        Args:
            text: the query's words.
            query: its vector, float32 [dimension].
            k: at least 1.
            allowed: bool [count], or None for everything.
            excluded: int64 rows left out of both rankings.
            shown: int64 rows that rank but are not given, so that a further page goes on with the same ranking.
        """
        rows, cosines, _ = self._searcher.nearest(query, DEPTH, allowed, excluded)
        by_vector = np.full(self._searcher.index.count, -np.inf)
        by_vector[rows] = cosines
        (by_words,) = self._bm25.rows([text])
        if allowed is not None:
            by_words[~allowed] = 0
        by_words[excluded] = 0
        fused = reciprocal_ranks(by_vector) + reciprocal_ranks(by_words, above=0.0)
        best = np.setdiff1d(np.flatnonzero(fused), [] if shown is None else shown)
        best = best[np.argsort(-fused[best], kind="stable")][:k]
        dense, lexical = _places(by_vector, -np.inf), _places(by_words, 0.0)
        return [FusedHit(int(row), float(fused[row]), dense.get(row), lexical.get(row)) for row in best]


def _places(scores: np.ndarray, above: float) -> dict[int, tuple[int, float]]:
    """Row -> its place from 1 and its score, for the first `DEPTH`."""
    ranked = np.flatnonzero(scores > above)
    ranked = ranked[np.argsort(-scores[ranked], kind="stable")][:DEPTH]
    return {int(row): (place, float(scores[row])) for place, row in enumerate(ranked, start=1)}
