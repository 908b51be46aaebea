"""Batch inference: a products table to embeddings, Parquet to Parquet, in bounded memory, resumable."""

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from export.missing_features import count_missing
from export.raw_features import raw_features, text_column
from export.saved_model import load_signature
from tfsage.bundle import MISSING, Bundle, embeddings_schema
from tfsage.console import progress
from tfsage.data.schema import EXPECTED, accepts
from tfsage.errors import TfsageError
from tfsage.files import sha256
from tfsage.index.base import check_vectors
from tfsage.parquet import open_parquet

PART_ROWS = 32_768
"""Products in one part: what is held in memory, and what a kill can cost."""


def embed_record_batches(
    batches: Iterable[pa.RecordBatch], product_tower: str, image_column: str | None, space_id: str
) -> Iterator[pa.RecordBatch]:
    """Embeds the rows of a products table, batch by batch: a plain loop here, PySpark's `mapInArrow` on a cluster.

    Args:
        batches: rows with product_id, and whatever of the tower's input columns there are.
        product_tower: folder of the SavedModel.
        image_column: the column that fills the tower's image input.
        space_id: written beside every vector.

    Yields:
        For each batch one with the columns of `embeddings_schema`, rows in the same order.

    Raises:
        TfsageError: a column has a wrong type, or an embedding is not a finite unit vector.
    """
    tower = load_signature(product_tower)
    for batch in batches:
        vectors = tower(**raw_features(batch, tower.inputs, image_column))
        ids = batch.column("product_id")
        ids = ids if ids.type == pa.int64() else ids.cast(pa.string())
        check_vectors(vectors, f"embeddings of the products from {ids[0].as_py()!r} on", tower.dimension)
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), tower.dimension)
        columns = [ids, text_column(batch, "title"), embedding, pa.repeat(space_id, len(batch))]
        yield pa.RecordBatch.from_arrays(columns, schema=embeddings_schema(ids.type, tower.dimension))


def embed_catalog(bundle: Bundle, products: Path, batch_size: int) -> Bundle:
    """Writes embeddings/part-*.parquet of a bundle, in the order of the catalog.

    Parts of the same space and the very same products file that an earlier, interrupted call has finished are checked
    and kept. A part is written aside and renamed. The index that the bundle had is left out of the manifest when any
    part is new.

    Args:
        bundle: with its product tower.
        products: a products table, one Parquet file.
        batch_size: products embedded at once.

    Raises:
        TfsageError: the file is missing, empty, not a products table, or has null or duplicate ids.
    """
    count = _check_products(products)
    manifest = bundle.manifest
    mark = {"space_id": manifest.space_id, "products": sha256(products), "batch_size": str(batch_size)}
    bundle.embeddings.mkdir(exist_ok=True)
    _remove_strangers(bundle.embeddings, -(-count // PART_ROWS))
    fresh = False
    with progress() as bar:
        task = bar.add_task("Embedding products", total=count, note="")
        stream = _aligned_batches(products, batch_size)
        for place, batches in itertools.groupby(stream, key=lambda batch: batch[0] // PART_ROWS):
            rows = min(PART_ROWS, count - place * PART_ROWS)
            path = bundle.embeddings / f"part-{place:05d}.parquet"
            if _is_finished(path, rows, {**mark, "part": str(place)}, manifest.dimension):
                bar.advance(task, rows)
                continue
            missing = Counter()

            def tell(batch: pa.RecordBatch, missing=missing) -> None:
                missing.update(count_missing(batch, manifest.text_fields, manifest.image_column))
                bar.advance(task, len(batch))

            inputs = _told((batch for _, batch in batches), tell)
            embedded = embed_record_batches(inputs, str(bundle.product_tower), manifest.image_column, manifest.space_id)
            _write_part(path, embedded, {**mark, "part": str(place)}, missing)
            fresh = True
    if not fresh and manifest.products == count:
        return bundle
    return bundle.update(changed=("embeddings",), products=count, index=None)


def embed_products(bundle: Bundle, products: Path, out: Path, batch_size: int) -> int:
    """Writes the embeddings of some products to one Parquet file, as the parts of a bundle have them.

    That is what `tfsage service --added` reads. The bundle stays as it is; the file is written aside and renamed.

    Args:
        bundle: with its product tower.
        products: a products table, one Parquet file.
        out: the file; replaced when it is there.
        batch_size: products embedded at once.

    Returns:
        how many there are.

    Raises:
        TfsageError: the file is missing, empty, not a products table, or has null or duplicate ids.
    """
    count, manifest = _check_products(products), bundle.manifest
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.partial")
    try:
        with progress() as bar:
            task = bar.add_task("Embedding products", total=count, note="")
            batches = (batch for _, batch in _aligned_batches(products, batch_size))
            inputs = _told(batches, lambda batch: bar.advance(task, len(batch)))
            embedded = embed_record_batches(inputs, str(bundle.product_tower), manifest.image_column, manifest.space_id)
            first = next(embedded)
            with pq.ParquetWriter(aside, first.schema, compression="zstd", use_dictionary=["space_id"]) as writer:
                for batch in itertools.chain([first], embedded):
                    writer.write_batch(batch)
        os.replace(aside, out)
    finally:
        aside.unlink(missing_ok=True)
    return count


def _check_products(path: Path) -> int:
    try:
        with pq.ParquetFile(path) as file:
            count, schema = file.metadata.num_rows, file.schema_arrow
    except FileNotFoundError:
        raise TfsageError(f"{path}: no such products table; give a Parquet file with --products") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise TfsageError(f"{path}: not a Parquet file ({error})") from None
    if count == 0:
        raise TfsageError(f"{path}: the products table is empty; there is nothing to embed")
    if "product_id" not in schema.names:
        raise TfsageError(f"{path}: the products table has no column product_id; it has {', '.join(schema.names)}")
    if not accepts("id", kind := schema.field("product_id").type):
        raise TfsageError(f"{path}: product_id: expected {EXPECTED['id']}, got {kind}")
    ids = ibis.duckdb.connect().read_parquet(path).product_id
    repeated = ids.as_table().group_by("product_id").agg(rows=ibis._.count())
    bad = repeated.filter((repeated.rows > 1) | repeated.product_id.isnull()).limit(3).to_pyarrow()
    if len(bad):
        examples = ", ".join(repr(value) for value in bad["product_id"].to_pylist())
        raise TfsageError(f"{path}: product_id is null or repeats (for example {examples}); ids must be distinct")
    return count


def _remove_strangers(folder: Path, parts: int) -> None:
    wanted = {f"part-{place:05d}.parquet" for place in range(parts)}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


def _aligned_batches(path: Path, size: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The table in batches of `size` rows, cut also where a part ends, each with the row it starts at.

    A batch's rows depend on its place alone, not on the file's row groups nor on where a call resumes: the same
    products are always embedded together, so that the same vectors come out to the last bit.
    """
    start, held = 0, []

    def wanted() -> int:
        return min(size, PART_ROWS - start % PART_ROWS)

    with open_parquet(path) as file:
        for batch in file.iter_batches(batch_size=size):
            held.append(batch)
            while sum(map(len, held)) >= wanted():
                whole = pa.concat_batches(held)
                yield start, whole.slice(0, wanted())
                held, start = [whole.slice(wanted())], start + wanted()
        if sum(map(len, held)):
            yield start, pa.concat_batches(held)


def _is_finished(path: Path, rows: int, mark: dict[str, str], dimension: int) -> bool:
    if not path.exists():
        return False
    try:
        table = pq.read_table(path, partitioning=None)
        found = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        found.pop(MISSING, None)
        if found != mark or len(table) != rows:
            return False
        check_vectors(vectors_of(table), str(path), dimension)
    except (pa.ArrowInvalid, OSError, KeyError, TfsageError):
        return False
    return True


def _told(batches: Iterator[pa.RecordBatch], tell: Callable[[pa.RecordBatch], None]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        tell(batch)


def _write_part(path: Path, batches: Iterator[pa.RecordBatch], mark: dict[str, str], missing: Counter) -> None:
    table = pa.Table.from_batches(batches)
    # Known only now that every batch has passed.
    table = table.replace_schema_metadata({**mark, MISSING: json.dumps(missing)})
    aside = path.with_name(f".{path.name}.partial")
    pq.write_table(table, aside, compression="zstd", use_dictionary=["space_id"])
    os.replace(aside, path)


def vectors_of(table: pa.Table) -> np.ndarray:
    """The column `embedding` of a part as float32 [rows, dimension]."""
    column = table["embedding"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(table), column.type.list_size)
