"""Nearest products of a vector, with as many hits as asked for whatever is filtered out."""

import math

import numpy as np

from tfsage.index import Index

MAX_DEPTH = 2500
"""Hits asked of the index at most; beyond that, exact search over what is left is the cheaper way to enough hits."""

_BLOCK = 65_536


class Searcher:
    """An index, and the vectors behind it for what an index cannot do.

    Args:
        index: over the products.
        vectors: float32 [count, dimension], unit, row for row those of the index.
    """

    def __init__(self, index: Index, vectors: np.ndarray):
        self.index, self.vectors = index, vectors

    def nearest(
        self, query: np.ndarray, k: int, allowed: np.ndarray | None = None, excluded: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, str]:
        """The nearest products that are allowed: `k`, or all of them where there are fewer.

        The index is asked for more than `k`, by the share of products that are allowed; when too few of those pass
        (a filter that goes against the query), every allowed product is scored.

        Args:
            query: float32 [dimension].
            k: at least 1.
            allowed: bool [count]; everything by default.
            excluded: rows left out.

        Returns:
            rows int64 [<= k], scores float32 [<= k], best first, and `index` or `exact`: which way it took.
        """
        excluded = np.unique(np.asarray([] if excluded is None else excluded, np.int64))
        passing = self.index.count if allowed is None else int(allowed.sum())
        gone = len(excluded) if allowed is None else int(allowed[excluded].sum())
        k = min(k, passing - gone)
        if k <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32), "index"
        depth = k + gone
        if allowed is not None:
            # Half more than the share says, because what is near a query is not spread as the whole catalog is.
            depth = math.ceil(1.5 * depth * self.index.count / passing)
        if depth <= MAX_DEPTH:
            rows, scores = (found[0] for found in self.index.search(query[None], depth))
            good = rows >= 0
            if allowed is not None:
                good &= allowed[rows]
            if len(excluded):
                good &= ~np.isin(rows, excluded)
            if good.sum() >= k:
                return rows[good][:k], scores[good][:k], "index"
        return *self._exact(query, k, allowed, excluded), "exact"

    def _exact(self, query, k, allowed, excluded) -> tuple[np.ndarray, np.ndarray]:
        left = np.ones(self.index.count, bool) if allowed is None else allowed.copy()
        left[excluded] = False
        rows = np.flatnonzero(left)
        parts = [self.vectors[rows[at : at + _BLOCK]] @ query for at in range(0, len(rows), _BLOCK)]
        scores = np.concatenate(parts)
        if k < len(rows):
            best = np.sort(np.argpartition(scores, -k)[-k:])
            rows, scores = rows[best], scores[best]
        order = np.argsort(-scores, kind="stable")
        return rows[order], scores[order]
