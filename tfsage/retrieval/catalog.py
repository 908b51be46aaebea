"""What the service knows of products beside their vectors: ids, titles, attributes, texts and images."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfsage.bundle import Bundle
from tfsage.data.schema import ALL_TEXT_FIELDS
from tfsage.errors import TfsageError
from tfsage.retrieval.attributes import Attributes
from tfsage.retrieval.problems import Problem

_TEXT_BATCH = 10_000
_IMAGE_TYPES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


class Catalog:
    """Products by row of the index.

    Args:
        id_map: columns product_id and title, in the order of the index.
        products: a products table (Parquet) with attributes; rows in any order, products of other catalogs ignored.
        partial: whether the table may know none of the products.

    Attributes:
        attributes: to filter by.
        id_type: of the ids.

    Raises:
        TfsageError: the products table cannot be read, has no product_id, or knows none of the index's products.
    """

    def __init__(self, id_map: pa.Table, products: Path | None = None, partial: bool = False):
        self._ids, self._titles = id_map["product_id"].combine_chunks(), id_map["title"].combine_chunks()
        self.id_type = self._ids.type
        self._is_integer = pa.types.is_integer(self.id_type)
        self._row = {value: row for row, value in enumerate(self._ids.to_pylist())}
        self._table = id_map if products is None else self._aligned(products, partial)
        self.attributes = Attributes(self._table)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str | int]:
        """The ids, in the order of the rows."""
        return iter(self._row)

    def find(self, product_id: str | int) -> int | None:
        """The row of a product, or None. Text stands for a number where ids are numbers, and the other way round."""
        if not self._is_integer:
            return self._row.get(str(product_id))
        try:
            return self._row.get(int(product_id))
        except ValueError:
            return None

    def describe(self, row: int) -> tuple[str | int, str]:
        """The id and the title (empty where there is none) of a row."""
        return self._ids[row].as_py(), self._titles[row].as_py() or ""

    def texts(self) -> Iterator[str]:
        """Everything that is said of each product, in one text; at least the title that it was embedded with."""
        names = [name for name in ALL_TEXT_FIELDS if name in self._table.column_names]
        for batch in self._table.select(names).to_batches(_TEXT_BATCH):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                parts = (part for field in row for part in (field if isinstance(field, list) else [field]))
                yield " ".join(part for part in parts if part)

    def _aligned(self, path: Path, partial: bool) -> pa.Table:
        table = read_table(path, ["product_id"], _is_plain, self if partial else None)
        ids = as_ids(path, table["product_id"], self._ids.type)
        places = pc.index_in(self._ids, value_set=ids.combine_chunks())
        if places.null_count == len(places) and not partial:
            raise TfsageError(f"{path}: has none of the products of the index; give the table that was embedded")
        table = table.take(places)
        if "title" not in table.column_names:
            return table.append_column("title", self._titles)
        place = table.column_names.index("title")
        if is_text(kind := table.schema.field(place).type):
            table = table.set_column(place, "title", pc.coalesce(table["title"], self._titles.cast(kind)))
        return table


class Images:
    """Pictures of products, from a Parquet file with the columns product_id and image (JPEG, PNG, GIF or WebP bytes).

    Args:
        path: of the file.
        only: the products whose pictures are kept; all by default.

    Raises:
        TfsageError: the file cannot be read or lacks a column.
    """

    def __init__(self, path: Path, only: Catalog | None = None):
        table = read_table(path, ["product_id", "image"], lambda field: field.name in ("product_id", "image"), only)
        self._images = table["image"].combine_chunks()
        self._row = {str(value): row for row, value in enumerate(table["product_id"].to_pylist())}

    def __contains__(self, product_id: str | int) -> bool:
        return str(product_id) in self._row

    def get(self, product_id: str | int) -> tuple[bytes, str] | None:
        """The picture's bytes and media type, or None where there is none that a browser shows."""
        row = self._row.get(str(product_id))
        content = None if row is None else self._images[row].as_py()
        for magic, kind in _IMAGE_TYPES.items():
            if content and content.startswith(magic):
                return content, kind
        return None


class Pins:
    """Vectors of pins in the space of the products, from a Parquet file with the columns pin_id and embedding.

    Args:
        path: of the file. A column space_id, where there is one, must name the bundle's space.
        bundle: whose space the vectors are in.

    Raises:
        TfsageError: the file cannot be read, or its vectors are not of the bundle's space or not finite.
    """

    def __init__(self, path: Path, bundle: Bundle):
        table = read_table(path, ["pin_id", "embedding"])
        spaces = set(table["space_id"].unique().to_pylist()) if "space_id" in table.column_names else set()
        if spaces - {bundle.manifest.space_id}:
            raise TfsageError(f"{path}: pins of space {sorted(spaces)}, the bundle is {bundle.manifest.space_id}")
        embeddings = table["embedding"].combine_chunks()
        vectors = np.asarray(embeddings.flatten(), np.float32)
        lengths = pc.unique(pc.list_value_length(embeddings)).to_pylist()
        if lengths != [bundle.manifest.dimension] or not np.isfinite(vectors).all():
            raise TfsageError(
                f"{path}: expected {bundle.manifest.dimension} finite numbers per embedding, as in the bundle's space"
            )
        self._vectors = vectors.reshape(len(table), -1)
        self._row = {str(value): row for row, value in enumerate(table["pin_id"].to_pylist())}

    def vector(self, pin_id: str | int) -> np.ndarray:
        """float32 [dimension], of any length.

        Raises:
            Problem: there is no such pin (404).
        """
        row = self._row.get(str(pin_id))
        if row is None:
            raise Problem(404, f"no pin {pin_id!r}")
        return self._vectors[row]


def read_table(
    path: Path,
    needed: list[str],
    wanted: Callable[[pa.Field], bool] = lambda field: True,
    only: Iterable[str | int] | None = None,
) -> pa.Table:
    """A Parquet file, of its columns those that are wanted, of its rows the products of `only`, where that is given.

    Raises:
        TfsageError: it cannot be read, or lacks a column that is needed.
    """
    try:
        schema = pq.read_schema(path)
        if missing := [name for name in needed if name not in schema.names]:
            raise TfsageError(f"{path}: has no column {', '.join(missing)}; it has {', '.join(schema.names)}")
        columns = [field.name for field in schema if wanted(field)]
        rows = None
        if only is not None:
            rows = pc.field("product_id").cast(pa.string()).isin(pa.array(map(str, only), pa.string()))
        table = pq.read_table(path, columns=columns, filters=rows, partitioning=None)
        # Text that is not UTF-8 would be found out by whoever asks for that product.
        table.validate(full=True)
        return table
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise TfsageError(f"{path}: cannot be read as Parquet ({error})") from None


def as_ids(path: Path, ids: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Ids of a file in the type of the bundle's.

    Raises:
        TfsageError: they cannot be.
    """
    try:
        return ids.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise TfsageError(f"{path}: product_id: {ids.type}, where the bundle's are {kind}") from None


def is_text(kind: pa.DataType) -> bool:
    """Whether it is a type of text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_plain(field: pa.Field) -> bool:
    """Whether a column is a value or a list of texts; vectors are not needed beside the index."""
    kind = field.type
    return not pa.types.is_nested(kind) or (pa.types.is_list(kind) and pa.types.is_string(kind.value_type))
