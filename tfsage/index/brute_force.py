"""Exact search in plain numpy: the yardstick of every other index, and the index of platforms without ScaNN."""

import numpy as np
import pyarrow as pa

from tfsage.index.base import Effort, Index

_QUERY_BLOCK = 1024
_ROW_BLOCK = 16_384


class BruteForceIndex(Index):
    """Scores every row, in blocks: memory grows with k and the block sizes, not with the catalog.

    Hits of equal score are ordered by row; which of several rows tied for the last place is a hit is left open.
    `effort` has no effect.

    Args:
        vectors: float32 [n, dimension]; may be memory-mapped.
        id_map: see `Index`.
    """

    kind = "numpy"

    def __init__(self, vectors: np.ndarray, id_map: pa.Table | None = None):
        super().__init__(len(vectors), vectors.shape[1], Effort(), id_map)
        self._vectors = vectors

    def _search(self, queries, k, effort):
        parts = [self._block(queries[at : at + _QUERY_BLOCK], k) for at in range(0, len(queries), _QUERY_BLOCK)]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([scores for _, scores in parts])

    def _block(self, queries, k):
        rows = np.empty((len(queries), 0), np.int64)
        scores = np.empty((len(queries), 0), np.float32)
        for start in range(0, self.count, _ROW_BLOCK):
            block = queries @ self._vectors[start : start + _ROW_BLOCK].T
            chosen = _top(block, k)
            rows = np.concatenate([rows, chosen + start], axis=1)
            scores = np.concatenate([scores, np.take_along_axis(block, chosen, axis=1)], axis=1)
            best = _top(scores, k)
            rows, scores = np.take_along_axis(rows, best, axis=1), np.take_along_axis(scores, best, axis=1)
        return rows, scores


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k highest scores of each row, best first, the lower column first among equals."""
    if k < scores.shape[1]:
        columns = np.sort(np.argpartition(scores, -k, axis=1)[:, -k:], axis=1)
    else:
        columns = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
