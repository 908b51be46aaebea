"""Finds the least effort that recalls what exact search finds, and keeps the curve."""

import time

import numpy as np
from pydantic import BaseModel, ConfigDict

from tfsage.index.base import Effort, Index
from tfsage.index.brute_force import BruteForceIndex
from tfsage.index.spec import IndexSpec

_TIE = 1e-6
_CURVE_POINTS = 8
_WIDEST_REORDER = 64
_MARGIN = 3.0


class CurvePoint(BaseModel):
    """One setting of the index.

    recall: the lowest over the kinds of query in `recalls`. assured: as low as it may be with other queries of these
    kinds, three standard errors below what was measured. milliseconds: per query.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    effort: Effort
    recall: float
    recalls: dict[str, float]
    milliseconds: float
    assured: float = 0.0


class RecallMeter:
    """Measures recall@k of an index over `vectors` against exact search.

    A hit counts when its exact score is within 1e-6 of the k-th best exact score or above it, so that of several
    rows tied for the last place any is right; catalogs hold exact duplicates.

    Args:
        vectors: float32 [n, dimension], the indexed rows.
        queries: for each kind of query, float32 [q, dimension].
        k: depth; at most n hits can be found.
    """

    def __init__(self, vectors: np.ndarray, queries: dict[str, np.ndarray], k: int):
        self._vectors, self._queries, self._k = vectors, queries, k
        exact = BruteForceIndex(vectors)
        depth = min(k, len(vectors))
        self._border = {kind: exact.search(q, depth).scores[:, -1] for kind, q in queries.items()}

    def measure(self, index: Index, effort: Effort) -> CurvePoint:
        """Recall and time per query of `index` at one effort."""
        depth = min(self._k, len(self._vectors))
        recalls, assured, seconds = {}, [], 0.0
        for kind, queries in self._queries.items():
            begin = time.perf_counter()
            rows = index.search(queries, depth, effort).rows
            seconds += time.perf_counter() - begin
            exact = np.einsum("qd,qkd->qk", queries, self._vectors[np.maximum(rows, 0)])
            hits = (rows >= 0) & (exact >= self._border[kind][:, None] - _TIE)
            recalls[kind] = float(hits.mean())
            assured.append(hits.mean() - _MARGIN * hits.mean(axis=1).std() / np.sqrt(len(hits)))
        total = sum(len(queries) for queries in self._queries.values())
        return CurvePoint(
            effort=effort,
            recall=min(recalls.values()),
            recalls=recalls,
            milliseconds=1000 * seconds / total,
            assured=min(assured),
        )


def tune(index: Index, spec: IndexSpec, meter: RecallMeter, target: float) -> tuple[CurvePoint, list[CurvePoint]]:
    """Searches for the least effort whose recall is at or above `target` for every kind of query.

    Other queries of these kinds shall reach it too, so three standard errors are left for chance.

    A tree is tuned by its leaves; where all of them do not suffice, and in an index without leaves, by the number of
    re-ordered candidates. If nothing suffices, the most accurate setting is taken.

    Returns:
        The setting taken, and every setting that was measured, from least effort to most.
    """
    if spec.reorder_dtype is None:
        point = meter.measure(index, Effort())
        return point, [point]
    points: list[CurvePoint] = []

    def reaches(effort: Effort) -> bool:
        points.append(meter.measure(index, effort))
        return points[-1].assured >= target

    reorder = spec.start_effort.reorder
    widest = min(index.count, reorder * _WIDEST_REORDER)
    while not reaches(Effort(leaves=spec.leaves, reorder=reorder)) and reorder < widest:
        reorder = min(2 * reorder, widest)
    if spec.leaves is not None:
        _sweep_leaves(reaches, spec.leaves, reorder)
    points.sort(key=lambda point: (point.effort.reorder, point.effort.leaves or 0))
    sufficient = [point for point in points if point.assured >= target]
    return (sufficient[0] if sufficient else max(points, key=lambda point: point.recall)), points


def _sweep_leaves(reaches, leaves: int, reorder: int) -> None:
    """Measures a geometric grid of leaves, then halves the gap between the last that fails and the first that holds."""
    grid = sorted({max(1, leaves >> shift) for shift in range(1, _CURVE_POINTS)})
    holds = {count: reaches(Effort(leaves=count, reorder=reorder)) for count in grid}
    low = max((count for count, held in holds.items() if not held), default=0)
    high = min((count for count, held in holds.items() if held and count > low), default=leaves)
    while high - low > 1 and high - low > high // 20:
        middle = (low + high) // 2
        if reaches(Effort(leaves=middle, reorder=reorder)):
            high = middle
        else:
            low = middle
