"""Canaries: a few real inputs whose vectors are kept, so that any later process can prove it computes the same.

`python -m export.canaries BUNDLE` embeds them through the bundle's SavedModels and compares.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.bundle import Bundle, Canaries, ProductCanaries
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.fresh_process import run_module
from tfsage.towers.base import Tower

TOLERANCE = 1e-5
"""Largest difference of any component between two processes."""

_QUERIES = 16
_PRODUCTS = 4


def query_texts(data: PreparedData) -> list[str]:
    """Up to 16 real queries, spread over the prepared ones (over the titles of products where there are none)."""
    texts = data.titles
    if "query" in data.manifest["queries"] and data.queries("query").texts is not None:
        texts = data.queries("query").texts
    return texts.gather(_spread(len(texts), _QUERIES))


def product_rows(data: PreparedData) -> pa.RecordBatch:
    """The first products of the catalog, with all their columns."""
    with pq.ParquetFile(data.folder / "products.parquet") as file:
        return next(file.iter_batches(batch_size=_PRODUCTS))


def query_canaries(tower: Tower, texts: list[str]) -> Canaries:
    """The texts, the empty one included, and what the tower makes of them."""
    texts = ["", *texts]
    vectors = tower.embed({"query": np.array([text.encode() for text in texts], object)})
    return Canaries(queries=texts, vectors=vectors.numpy().tolist())


def product_canaries(tower: Tower, inputs: dict[str, np.ndarray]) -> ProductCanaries:
    """The raw inputs and what the tower makes of them."""
    lists = {name: _to_lists(values) for name, values in inputs.items()}
    return ProductCanaries(inputs=lists, vectors=tower.embed(inputs).numpy().tolist())


def verify_canaries(bundle: Bundle) -> None:
    """Embeds the canaries through the bundle's SavedModels in a fresh process.

    Raises:
        TfsageError: a vector differs from the manifest's by more than `TOLERANCE` in some component.
    """
    run_module("export.canaries", str(bundle.folder), purpose=f"{bundle.folder}: embedding the canaries anew")


def compare_canaries(bundle: Bundle) -> float:
    """The same in this process; returns the largest difference of any component."""
    from export.saved_model import Signature

    manifest = bundle.manifest
    product = Signature(bundle.product_tower)
    inputs = {name: _from_list(manifest.product_canaries.inputs[name], spec) for name, spec in product.inputs.items()}
    worst = _compare(bundle.product_tower, product(**inputs), manifest.product_canaries.vectors)
    if bundle.query_tower is not None:
        texts = np.array([text.encode() for text in manifest.canaries.queries], object)
        vectors = Signature(bundle.query_tower)(query=texts)
        worst = max(worst, _compare(bundle.query_tower, vectors, manifest.canaries.vectors))
    return worst


def _compare(where: Path, found: np.ndarray, wanted: list[list[float]]) -> float:
    worst = float(np.max(np.abs(found - np.array(wanted, np.float32))))
    if not worst <= TOLERANCE:
        raise TfsageError(
            f"{where}: the canaries' vectors differ from the manifest's by up to {worst:.2g} (allowed {TOLERANCE:g}); "
            f"the SavedModel is not the one that was exported: run python -m export.towers again"
        )
    return worst


def _spread(count: int, wanted: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(np.int64))


def _to_lists(values: np.ndarray) -> list:
    return [value.decode() for value in values] if values.dtype == object else values.tolist()


def _from_list(values: list, spec) -> np.ndarray:
    if spec.dtype.name == "string":
        return np.array([value.encode() for value in values], object)
    return np.array(values, spec.dtype.as_numpy_dtype)


if __name__ == "__main__":
    from tfsage.quiet import quiet_tensorflow

    quiet_tensorflow()
    try:
        print(compare_canaries(Bundle.open(sys.argv[1])))
    except TfsageError as error:
        sys.exit(str(error))
