"""Streams the entity tables into the prepared folder: a clean Parquet copy, stores, and the map from ids to rows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfsage.data.bad_rows import BadRows
from tfsage.data.columns import plain, read_vectors, texts
from tfsage.data.schema import ALL_TEXT_FIELDS, TABLE_OF_TYPE, TABLES
from tfsage.data.stores import ArrayWriter, RaggedStore, RaggedWriter, StringWriter
from tfsage.data.tables import BATCH_ROWS, Source
from tfsage.data.text_key import text_key
from tfsage.parquet import open_parquet

_TEXT_ROWS = 1024
_ID_SCHEMA = pa.schema({"type": pa.string(), "id": pa.string(), "row": pa.int64(), "key": pa.string()})


class EntityWriter:
    """Copies the good rows of products, pins or queries; their order gives the rows.

    Args:
        source: the table.
        entity_type: product, pin or query.
        dimensions: the dimension of each embedding column.
        out: the prepared folder.
    """

    def __init__(self, source: Source, entity_type: str, dimensions: dict[str, int], out: Path):
        self._source, self._type = source, entity_type
        self._table_path = out / f"{source.name}.parquet"
        self._stores = out / "stores" / entity_type
        self._dimensions = dimensions
        self.count = 0
        self.zero_vectors: dict[str, int] = {}
        self._missing: dict[str, int] = dict.fromkeys(source.columns, 0)

    def write(self, bad: BadRows, scratch: Path, advance: Callable[[int], None]) -> None:
        """Writes the table and its stores, and SCRATCH/ids_<type>.parquet, the map from ids to rows.

        The map has columns type, id, row and key. The key says which text queries are variants of one; for other
        entities it is the id.
        """
        self._stores.mkdir(parents=True)
        writers = self._writers()
        table = pq.ParquetWriter(self._table_path, self._source.schema, compression="zstd")
        ids = pq.ParquetWriter(scratch / f"ids_{self._type}.parquet", _ID_SCHEMA)
        for rows in good_batches(self._source, bad, advance):
            table.write_batch(rows)
            self._count_missing(rows)
            key = self._column(rows, self._source.key).cast(pa.string())
            keys = pa.array(map(text_key, self._texts(rows).to_pylist())) if self._type == "query" else key
            places = pa.array(np.arange(self.count, self.count + rows.num_rows))
            kinds = pa.array([self._type] * rows.num_rows)
            ids.write_batch(pa.record_batch([kinds, key, places, keys], schema=_ID_SCHEMA))
            for writer in writers:
                writer(rows)
            self.count += rows.num_rows
        for closing in (table, ids, *self._open):
            closing.close()

    @property
    def id_type(self) -> str:
        """string or int64, as in the table."""
        return "int64" if self._source.schema.field(self._source.key).type == pa.int64() else "string"

    def missing_rates(self) -> dict[str, float]:
        """The share of rows in which a column has nothing."""
        return {name: count / self.count for name, count in self._missing.items()}

    def describe(self) -> dict:
        """What the manifest says about entities of this type."""
        return {
            "count": self.count,
            "id_type": self.id_type,
            "text_fields": stored_text_fields(self._source),
            "embedding_columns": self._dimensions,
            "variants": "variant_group" in self._source.columns,
        }

    def describe_queries(self) -> dict:
        """What the manifest says about queries of this type."""
        column = embedding_column(self._dimensions)
        return {
            "count": self.count,
            "texts": "texts" if self._type == "query" else None,
            "languages": "language" in self._source.columns,
            "dimension": self._dimensions.get(column),
        }

    def _writers(self) -> list[Callable[[pa.RecordBatch], None]]:
        id_store = StringWriter(self._stores / "ids")
        self._open = [id_store]
        writers = [lambda rows: id_store.append(self._column(rows, self._source.key))]
        if self._type == "query":
            writers.append(self._string_writer("text", "texts"))
            if "language" in self._source.columns:
                writers.append(self._string_writer("language", "languages"))
        else:
            writers.append(self._string_writer("title", "titles"))
        if "variant_group" in self._source.columns:
            writers.append(self._string_writer("variant_group", "variant_groups"))
        writers += [self._vectors_writer(name) for name in self._dimensions]
        if self._type != "product" and (vector := embedding_column(self._dimensions)):
            writers.append(self._embedding_writer(vector))
        return writers

    def _string_writer(self, column: str, folder: str) -> Callable:
        store = StringWriter(self._stores / folder)
        self._open.append(store)

        def write(rows: pa.RecordBatch) -> None:
            store.append(texts(self._column(rows, column)))

        return write

    def _vectors_writer(self, name: str) -> Callable:
        store = RaggedWriter(self._stores / "vectors" / name, np.float32, (self._dimensions[name],))
        self._open.append(store)
        self.zero_vectors[name] = 0

        def write(rows: pa.RecordBatch) -> None:
            vectors = self._read_vectors(rows, name)
            # Towers take a row of zeros for an absent vector, so none is stored.
            present = vectors.values.any(axis=1)
            self.zero_vectors[name] += int((~present).sum())
            lengths = np.bincount(vectors.row[present], minlength=rows.num_rows)
            store.append(vectors.values[present], lengths)

        return write

    def _embedding_writer(self, name: str) -> Callable:
        store = ArrayWriter(self._stores / "embeddings.npy", np.float32, (self._dimensions[name],))
        self._open.append(store)

        def write(rows: pa.RecordBatch) -> None:
            vectors = self._read_vectors(rows, name)
            total = np.zeros((rows.num_rows, self._dimensions[name]), np.float32)
            np.add.at(total, vectors.row, vectors.values)
            store.append(total / np.maximum(vectors.lengths, 1)[:, None])

        return write

    def _read_vectors(self, rows: pa.RecordBatch, name: str):
        several = self._source.columns[name].kind == "vectors"
        return read_vectors(self._column(rows, name), several, self._dimensions[name])

    def _texts(self, rows: pa.RecordBatch) -> pa.Array:
        return texts(self._column(rows, "text"))

    def _column(self, rows: pa.RecordBatch, name: str) -> pa.Array:
        if name not in self._source.columns:
            return pa.nulls(rows.num_rows, pa.large_string())
        return plain(rows.column(rows.schema.get_field_index(name)))

    def _count_missing(self, rows: pa.RecordBatch) -> None:
        for name, column in self._source.columns.items():
            array = self._column(rows, name)
            if column.kind == "text":
                empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts(array)), ""), True)
            elif column.kind == "vectors":
                empty = pc.fill_null(pc.equal(pc.list_value_length(array), 0), True)
            else:
                empty = pc.is_null(array)
            self._missing[name] += pc.sum(pc.cast(empty, pa.int64())).as_py() or 0


def embedding_column(dimensions: dict[str, int]) -> str | None:
    """The column that stands for a pin or query: `embedding`, or else its images, whose mean is taken."""
    return next((name for name in ("embedding", "image_embeddings") if name in dimensions), None)


def good_batches(source: Source, bad: BadRows, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    """The rows of a table that nobody complained about, in order."""
    file, rows = None, np.zeros(0, np.int64)
    for batch in source.batches():
        if batch.file != file:
            file = batch.file
            rows, _ = bad.rows_of(source.name, file)
        here = rows[
            np.searchsorted(rows, batch.first_row) : np.searchsorted(rows, batch.first_row + batch.rows.num_rows)
        ]
        keep = np.ones(batch.rows.num_rows, bool)
        keep[here - batch.first_row] = False
        advance(batch.rows.num_rows)
        yield batch.rows if keep.all() else batch.rows.filter(pa.array(keep))


def write_product_queries(folder: Path, dimensions: dict[str, int]) -> None:
    """Lets products be queries: a product's first image stands for it, zeros where it has none."""
    if "image_embeddings" not in dimensions:
        return
    images = RaggedStore(folder / "stores" / "product" / "vectors" / "image_embeddings")
    with ArrayWriter(folder / "stores" / "product" / "embeddings.npy", np.float32, images.values.shape[1:]) as writer:
        for start in range(0, len(images), BATCH_ROWS):
            offsets = np.asarray(images.offsets[start : start + BATCH_ROWS + 1])
            first = np.zeros((len(offsets) - 1, *images.values.shape[1:]), np.float32)
            has_image = np.diff(offsets) > 0
            first[has_image] = images.values[offsets[:-1][has_image]]
            writer.append(first)


def entity_texts(folder: Path, entity_type: str, fields: tuple[str, ...]) -> Iterator[list[str]]:
    """The text columns of prepared products or pins, batch by batch: entity after entity, field after field."""
    for rows in open_parquet(folder / f"{TABLE_OF_TYPE[entity_type]}.parquet").iter_batches(
        _TEXT_ROWS, columns=list(fields)
    ):
        columns = [texts(plain(rows.column(name))).fill_null("").to_pylist() for name in fields]
        yield [text for row in zip(*columns, strict=True) for text in row]


def stored_text_fields(source: Source) -> tuple[str, ...]:
    """The text columns that products or pins have, in the order of their token rows."""
    known = TABLES[source.name].columns
    more = [name for name, column in source.columns.items() if name not in known and column.kind == "text"]
    return (*(field for field in ALL_TEXT_FIELDS if field in source.columns), *sorted(more))
