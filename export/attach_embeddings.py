"""Tables with the embeddings of a bundle as further columns: what one model makes is what the next one reads."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

from export.raw_features import raw_features, text_column
from export.saved_model import load_signature
from tfsage.bundle import Bundle
from tfsage.console import progress
from tfsage.data.engine import connect
from tfsage.data.staging import staged_folder
from tfsage.data.tables import Source, find_tables
from tfsage.errors import TfsageError
from tfsage.index.base import check_vectors
from tfsage.parquet import open_parquet

_ROWS = 256
"""Embedded at once."""


def attach_embeddings(bundle: Bundle, tables: Path, out: Path, columns: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Copies a folder of tables, with an embedding column more in some of them.

    Products get the embeddings that the bundle holds, by their ids; queries those of their texts through the bundle's
    query tower; pins those of their rows through its product tower, which must then be one that reads pins. A column
    that is there already is replaced.

    Args:
        bundle: with its towers, and for products with its embeddings.
        tables: the folder; see `tfsage.data.schema`.
        out: the new folder; it appears when it is complete.
        columns: products, queries or pins → the name of the column.

    Returns:
        by table its rows, and how many of them have no embedding: products that the bundle does not know.

    Raises:
        TfsageError: the tables cannot be used, one of them is missing, or the bundle has no query tower.
    """
    sources = find_tables(tables, [], more_texts=None)
    if missing := sorted(set(columns) - set(sources)):
        raise TfsageError(f"{tables}: there is no table {', '.join(missing)}; leave its option out, or add the table")
    written = {}
    with staged_folder(out, "products.parquet") as folder:
        for name, source in sources.items():
            if name not in columns:
                _copy(source, folder)
            elif name == "products":
                written[name] = _join(source, bundle, columns[name], folder)
            else:
                embed = _embed_queries(bundle) if name == "queries" else _embed_rows(bundle)
                written[name] = _write(source, embed, columns[name], bundle.manifest.dimension, folder)
    return written


def _copy(source: Source, folder: Path) -> None:
    """One file stays one file; several stay in a folder of the table's name."""
    if [file.stem for file in source.files] == [source.name]:
        shutil.copyfile(source.files[0], folder / f"{source.name}.parquet")
        return
    (folder / source.name).mkdir()
    for file in source.files:
        shutil.copyfile(file, folder / source.name / file.name)


def _embed_queries(bundle: Bundle) -> Callable[[pa.RecordBatch], np.ndarray]:
    if bundle.query_tower is None:
        raise TfsageError(f"{bundle.folder}: the bundle has no query tower; export one with `export.query_tower`")
    tower = load_signature(str(bundle.query_tower))
    return lambda rows: tower(query=text_column(rows, "text").cast(pa.binary()).to_numpy(zero_copy_only=False))


def _embed_rows(bundle: Bundle) -> Callable[[pa.RecordBatch], np.ndarray]:
    tower = load_signature(str(bundle.product_tower))
    return lambda rows: tower(**raw_features(rows, tower.inputs, bundle.manifest.image_column))


def _join(source: Source, bundle: Bundle, column: str, folder: Path) -> tuple[int, int]:
    """Products beside their embeddings, null where the bundle has none; DuckDB spills to the disk where it must."""
    bundle.check_embeddings()
    path = folder / f"{source.name}.parquet"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        connection = connect(Path(scratch))
        files = [str(file) for file in source.files]
        rows = connection.read_parquet(files, filename=True, file_row_number=True)
        parts = connection.read_parquet([str(part) for part in bundle.parts()])
        vectors = parts.select(source.key, **{column: _.embedding})
        kept = rows.drop(column) if column in rows.columns else rows
        joined = kept.left_join(vectors, source.key).order_by("filename", "file_row_number")
        connection.to_parquet(joined.select(*_others(source.schema.names, column), column), path)
        written = connection.read_parquet(path)
        without = written.filter(written[column].isnull()).count().to_pyarrow().as_py()
    return source.row_count, without


def _write(
    source: Source, embed: Callable[[pa.RecordBatch], np.ndarray], column: str, dimension: int, folder: Path
) -> tuple[int, int]:
    """The rows of a table, in order, with what `embed` makes of them."""
    writer = None
    with progress() as bar:
        task = bar.add_task(f"Embedding {source.name}", total=source.row_count, note="")
        try:
            for file in source.files:
                for rows in open_parquet(file).iter_batches(_ROWS):
                    vectors = embed(rows)
                    check_vectors(vectors, f"embeddings of {source.name}", dimension)
                    values = pa.FixedSizeListArray.from_arrays(vectors.ravel(), dimension)
                    names = _others(rows.schema.names, column)
                    made = pa.RecordBatch.from_arrays([*map(rows.column, names), values], [*names, column])
                    writer = writer or pq.ParquetWriter(
                        folder / f"{source.name}.parquet", made.schema, compression="zstd"
                    )
                    writer.write_batch(made)
                    bar.advance(task, len(rows))
        finally:
            if writer is not None:
                writer.close()
    return source.row_count, 0


def _others(names: list[str], column: str) -> list[str]:
    return [name for name in names if name != column]
