"""Products that are new, or have changed, since the bundle was published."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfsage.bundle import Bundle
from tfsage.errors import TfsageError
from tfsage.evaluation.bm25 import BM25
from tfsage.index.base import check_vectors
from tfsage.retrieval.catalog import Catalog, Images, as_ids, is_text, read_table
from tfsage.retrieval.hybrid import OtherTexts
from tfsage.retrieval.watched import Watched

_COLUMNS = ["product_id", "title", "embedding", "space_id"]


class Added(NamedTuple):
    """Products beside those of a bundle, by place, in the order of their ids.

    catalog: their ids, titles, texts and attributes.
    vectors: float32 [products, dimension], unit, of the bundle's space.
    images: their pictures, where the service has any.
    words: their texts, where the service offers hybrid search.
    """

    catalog: Catalog
    vectors: np.ndarray
    images: Images | None
    words: OtherTexts | None


def watch_added(
    path: Path,
    bundle: Bundle,
    catalog: Catalog,
    products: Path | None = None,
    images: Path | None = None,
    bm25: BM25 | None = None,
    *,
    lenient: bool = False,
) -> Watched[Added]:
    """Products as `python -m export.catalog --out` embeds them, as they are now.

    Args:
        path: a Parquet file with the columns product_id, title, embedding and space_id; without rows, nothing is added.
        bundle: whose product tower made the embeddings.
        catalog: the bundle's products.
        products: a products table with attributes and texts of the added ones, too; those that it lacks have none.
        images: a Parquet file with pictures of the added ones, too.
        bm25: of the bundle's products, where their texts are to be ranked.
        lenient: see `Watched`.

    Raises:
        TfsageError: a file cannot be read or lacks a column; the products are of another space, their ids null,
            repeated or of another type, their vectors not unit vectors of the bundle's dimension.
    """
    files = [each for each in (path, products, images) if each is not None]
    # Embeddings, texts and pictures take longer to read than every request should wait.
    return Watched(
        files,
        lambda: _read(path, bundle, catalog, products, images, bm25),
        "added products",
        patient=False,
        lenient=lenient,
    )


def _read(
    path: Path, bundle: Bundle, published: Catalog, products: Path | None, images: Path | None, bm25: BM25 | None
) -> Added | None:
    table = read_table(path, _COLUMNS, lambda field: field.name in _COLUMNS).select(_COLUMNS)
    if not len(table):
        return None
    _check_space(path, table["space_id"], bundle)
    ids = _distinct(path, as_ids(path, table["product_id"], published.id_type))
    if not is_text(kind := table.schema.field("title").type):
        raise TfsageError(f"{path}: title: expected text, got {kind}")
    vectors = _vectors(path, table["embedding"].combine_chunks(), bundle.manifest.dimension)
    # So that nothing depends on the order of the file, not even the last bit of a score.
    order = pc.sort_indices(ids)
    id_map = pa.table({"product_id": ids.take(order), "title": table["title"].take(order)})
    vectors = vectors[order.to_numpy()]
    catalog = Catalog(id_map, products, partial=True)
    return Added(
        catalog,
        vectors,
        None if images is None else Images(images, catalog),
        None if bm25 is None else OtherTexts(bm25, catalog.texts()),
    )


def _check_space(path: Path, spaces: pa.ChunkedArray, bundle: Bundle) -> None:
    if (found := spaces.unique().to_pylist()) != [bundle.manifest.space_id]:
        raise TfsageError(
            f"{path}: products of space {', '.join(map(str, found))}, the bundle {bundle.folder.name} is of space "
            f"{bundle.manifest.space_id}; embed them with its product tower: python -m export.catalog --out"
        )


def _distinct(path: Path, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    counts = pc.value_counts(ids).to_pylist()
    if bad := [repr(each["values"]) for each in counts if each["values"] is None or each["counts"] > 1]:
        raise TfsageError(f"{path}: product_id is null or repeats (for example {bad[0]}); ids must be distinct")
    return ids


def _vectors(path: Path, embeddings: pa.Array, dimension: int) -> np.ndarray:
    kind = embeddings.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    lengths = pc.unique(pc.list_value_length(embeddings)).to_pylist() if is_list else None
    if lengths != [dimension] or not pa.types.is_floating(kind.value_type):
        raise TfsageError(
            f"{path}: embedding: expected {dimension} numbers in each, got {kind}; embed the products with the "
            f"bundle's product tower: python -m export.catalog --out"
        )
    values = embeddings.flatten().cast(pa.float32()).to_numpy(zero_copy_only=False)
    vectors = np.ascontiguousarray(values.reshape(len(embeddings), dimension))
    check_vectors(vectors, f"{path}: embedding", dimension)
    return vectors
