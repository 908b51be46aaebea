"""What every nearest-neighbour index offers, and what every vector must satisfy before an index sees it."""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, PositiveInt

from tfsage.errors import TfsageError

Kind = Literal["numpy", "scann_brute_force", "scann_hash", "scann_tree"]

UNIT_TOLERANCE = 1e-3
"""How far the length of a vector may be from one."""


class Effort(BaseModel):
    """How hard an approximate index works for one query; more is slower and recalls more.

    `leaves`: leaves of the tree that are searched. `reorder`: candidates whose score is computed anew at higher
    precision. None where the kind of index has no such knob.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    leaves: PositiveInt | None = None
    reorder: PositiveInt | None = None


class Hits(NamedTuple):
    """The nearest rows of each query, best first.

    rows: int64 [queries, k]; -1 where the index has fewer than k.
    scores: float32 [queries, k], dot products; -inf where the row is -1.
    """

    rows: np.ndarray
    scores: np.ndarray


class Index(ABC):
    """Nearest rows by dot product over unit vectors.

    Attributes:
        kind: which index it is.
        count: number of rows.
        dimension: length of a vector.
        effort: what a search uses unless told otherwise; found by tuning.
        id_map: a table whose row i says what vector i stands for (product_id, title), or None.
    """

    kind: Kind

    def __init__(self, count: int, dimension: int, effort: Effort, id_map: pa.Table | None = None):
        self.count, self.dimension, self.effort, self.id_map = count, dimension, effort, id_map

    def search(self, queries: np.ndarray, k: int, effort: Effort | None = None) -> Hits:
        """The k nearest rows of each query.

        Args:
            queries: floating [q, dimension], finite; q may be 0, and k may exceed the number of rows.
            k: hits per query, at least 1.
            effort: instead of the tuned one.

        Raises:
            TfsageError: k is below 1, the queries are not a matrix of `dimension` columns, or one is not finite.
        """
        if k < 1:
            raise TfsageError(f"k must be at least 1, got {k}")
        queries = check_queries(queries, self.dimension)
        rows = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        if len(queries):
            found, dots = self._search(queries, min(k, self.count), effort or self.effort)
            valid = ~np.isnan(dots)
            width = found.shape[1]
            rows[:, :width] = np.where(valid, found, -1)
            scores[:, :width] = np.where(valid, dots, -np.inf)
        return Hits(rows, scores)

    @abstractmethod
    def _search(self, queries: np.ndarray, k: int, effort: Effort) -> tuple[np.ndarray, np.ndarray]:
        """Rows [q, <= k] and scores of at least one checked query, k <= count; NaN scores mark places without a hit."""


def check_queries(queries: np.ndarray, dimension: int) -> np.ndarray:
    """The queries as C-ordered float32 [q, dimension].

    Raises:
        TfsageError: another shape, not numbers, or a value that is not finite.
    """
    queries = np.asarray(queries)
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise TfsageError(
            f"queries: expected a matrix [queries, {dimension}], got shape {list(queries.shape)}; "
            f"embed them with the query tower of the same bundle as the index"
        )
    if not np.issubdtype(queries.dtype, np.floating):
        raise TfsageError(f"queries: expected floating-point vectors, got {queries.dtype}")
    queries = np.ascontiguousarray(queries, np.float32)
    if (bad := ~np.isfinite(queries).all(axis=1)).any():
        raise TfsageError(f"queries: {bad.sum()} hold NaN or infinite values, the first is number {bad.argmax()}")
    return queries


def check_vectors(vectors: np.ndarray, what: str, dimension: int | None = None) -> None:
    """Checks vectors that are to be indexed, block by block, so that a memory-mapped matrix stays on the disk.

    Args:
        vectors: expected float32 [n, dimension], C-ordered, n >= 1, finite, of length 1 to within `UNIT_TOLERANCE`.
        what: names the vectors in an error message.
        dimension: the expected one; any by default.

    Raises:
        TfsageError: what is wrong, and at which row.
    """
    shape = list(np.shape(vectors))
    if len(shape) != 2 or (dimension is not None and shape[1] != dimension) or shape[1] == 0:
        raise TfsageError(f"{what}: expected a matrix [rows, {dimension or 'dimension'}], got shape {shape}")
    if shape[0] == 0:
        raise TfsageError(f"{what}: there are none; embed the catalog first")
    if vectors.dtype != np.float32 or not vectors.flags.c_contiguous:
        raise TfsageError(
            f"{what}: expected C-ordered float32, got {vectors.dtype} with strides {vectors.strides}; "
            f"convert with numpy.ascontiguousarray(vectors, numpy.float32)"
        )
    for start in range(0, shape[0], 65_536):
        block = vectors[start : start + 65_536]
        lengths = np.sqrt(np.einsum("nd,nd->n", block, block))
        # A NaN compares false to everything: `not (... <= ...)` also catches it.
        if (bad := ~(np.abs(lengths - 1) <= UNIT_TOLERANCE)).any():
            row = int(bad.argmax())
            finite = np.isfinite(block[row]).all()
            problem = f"has length {lengths[row]:.4g}, not 1" if finite else "holds NaN or infinite values"
            raise TfsageError(
                f"{what}: row {start + row} {problem} ({bad.sum()} such among rows {start} to "
                f"{start + len(block) - 1}); embed the catalog again with a tower whose weights are finite"
            )
