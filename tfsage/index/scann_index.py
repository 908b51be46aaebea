"""Search over a ScaNN searcher that was built aside; see `tfsage.index.worker` for the building."""

import importlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfsage.errors import TfsageError
from tfsage.index.base import Effort, Index, Kind

PICKLE = "scann_docids.pkl"


def scann_problem() -> str | None:
    """Why ScaNN cannot be used here (no wheel for the platform, built for another TensorFlow), or None if it can."""
    try:
        importlib.import_module("scann")
    except Exception as error:
        # Beside ImportError, a wheel that was built for another TensorFlow raises TensorFlow's own errors.
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    return None


class ScannIndex(Index):
    """A ScaNN searcher behind `Index`: its padding masked, its document ids never used.

    Args:
        folder: what `ScannSearcher.serialize(..., relative_path=True)` wrote, its checksums verified by the caller.
        kind: scann_brute_force, scann_hash or scann_tree.
        count: rows that the searcher must have.
        dimension: length of its vectors.
        effort: the tuned effort.
        id_map: see `Index`.

    Raises:
        TfsageError: ScaNN cannot be imported, the folder holds pickled document ids (loading those would run whatever
            code they contain), or the searcher cannot be read or has another number of rows.
    """

    def __init__(
        self, folder: Path, kind: Kind, count: int, dimension: int, effort: Effort, id_map: pa.Table | None = None
    ):
        super().__init__(count, dimension, effort, id_map)
        self.kind = kind
        refuse_pickle(folder)
        if problem := scann_problem():
            raise TfsageError(
                f"{folder}: this index needs ScaNN, which cannot be imported ({problem}); install the pinned "
                f"requirements, or build the index anew on this platform: python -m export.index"
            )
        from scann import scann_ops_pybind

        try:
            self._searcher = scann_ops_pybind.load_searcher(str(folder), assets_backcompat_shim=False)
        except (RuntimeError, ValueError) as error:
            raise TfsageError(f"{folder}: ScaNN cannot read the index ({error}); build it anew") from None
        if self._searcher.size() != count:
            raise TfsageError(
                f"{folder}: the ScaNN index has {self._searcher.size()} rows where {count} are recorded; build it anew"
            )

    def _search(self, queries, k, effort):
        # ScaNN returns at most as many hits as it re-orders, so wide requests re-order more than was tuned for.
        reorder = None if effort.reorder is None else max(effort.reorder, 10 * k)
        rows, scores = self._searcher.search_batched(
            queries,
            final_num_neighbors=k,
            pre_reorder_num_neighbors=reorder,
            leaves_to_search=effort.leaves,
        )
        return rows.astype(np.int64), scores


def refuse_pickle(folder: Path) -> None:
    """Raises TfsageError when the folder holds ScaNN's pickled document ids, whose loading runs arbitrary code."""
    if (folder / PICKLE).exists():
        raise TfsageError(
            f"{folder / PICKLE}: refused: loading a pickle can run any code, and tfsage never writes one; "
            f"build the index anew from the embeddings: python -m export.index"
        )
