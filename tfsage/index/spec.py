"""Which index a catalog gets, by its size."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveInt

from tfsage.index.base import Effort, Kind

BRUTE_FORCE_ROWS = 20_000
HASH_ROWS = 100_000
_LARGE_ROWS = 1_000_000
_FLOAT32_TARGET = 0.99

START_REORDER = 100


class IndexSpec(BaseModel):
    """How an index is built; fields that its kind has no use for are None.

    leaves: partitions of the tree. training_rows: rows sampled to place them. quantize_centroids: their scores are
    computed in 8 bits. reorder_dtype: precision of the vectors that re-score the candidates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Kind
    leaves: PositiveInt | None = None
    training_rows: PositiveInt | None = None
    quantize_centroids: bool | None = None
    reorder_dtype: Literal["bfloat16", "float32"] | None = None

    @property
    def start_effort(self) -> Effort:
        """The effort that tuning starts from: a twentieth of the leaves, `START_REORDER` candidates."""
        leaves = max(1, round(self.leaves / 20)) if self.leaves else None
        return Effort(leaves=leaves, reorder=START_REORDER if self.reorder_dtype else None)


def choose_spec(count: int, recall_target: float, kind: Kind | None = None) -> IndexSpec:
    """The spec for a catalog of `count` rows.

    ScaNN's brute force up to 20,000 rows, asymmetric hashing with re-ordering up to 100,000, a tree above that:
    about sqrt(n) leaves, twice as many from a million rows on. bfloat16 re-ordering cannot recall more than about
    0.998, so a target of 0.99 or more re-orders in float32.

    Args:
        count: rows of the catalog.
        recall_target: recall@k that is to be reached.
        kind: builds this kind whatever the size.
    """
    if kind is None:
        kind = _kind_for(count)
    if kind in ("numpy", "scann_brute_force"):
        return IndexSpec(kind=kind)
    reorder_dtype = "float32" if recall_target >= _FLOAT32_TARGET else "bfloat16"
    if kind == "scann_hash":
        return IndexSpec(kind=kind, reorder_dtype=reorder_dtype)
    large = count >= _LARGE_ROWS
    leaves = min(count, math.isqrt(count) * (2 if large else 1))
    return IndexSpec(
        kind=kind,
        leaves=leaves,
        training_rows=max(100_000, 50 * leaves),
        quantize_centroids=large,
        reorder_dtype=reorder_dtype,
    )


def _kind_for(count: int) -> Kind:
    if count <= BRUTE_FORCE_ROWS:
        return "scann_brute_force"
    return "scann_hash" if count <= HASH_ROWS else "scann_tree"
