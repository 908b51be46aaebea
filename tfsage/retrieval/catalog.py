"""What the service knows of products beside their vectors: ids, titles, attributes, texts and images."""

from collections.abc import Iterator
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

    Attributes:
        attributes: to filter by.

    Raises:
        TfsageError: the products table cannot be read, has no product_id, or knows none of the index's products.
    """

    def __init__(self, id_map: pa.Table, products: Path | None = None):
        self._ids, self._titles = id_map["product_id"].combine_chunks(), id_map["title"].combine_chunks()
        self._is_integer = pa.types.is_integer(self._ids.type)
        self._row = {value: row for row, value in enumerate(self._ids.to_pylist())}
        self._table = id_map if products is None else self._aligned(products)
        self.attributes = Attributes(self._table)

    def __len__(self) -> int:
        return len(self._ids)

    def row(self, product_id: str | int) -> int:
        """The row of a product.

        Raises:
            Problem: there is none (404).
        """
        row = self.find(product_id)
        if row is None:
            raise Problem(404, f"no product {product_id!r} in this bundle")
        return row

    def find(self, product_id: str | int) -> int | None:
        """The row of a product, or None. Text stands for a number where ids are numbers, and the other way round."""
        if not self._is_integer:
            return self._row.get(str(product_id))
        try:
            return self._row.get(int(product_id))
        except ValueError:
            return None

    def describe(self, rows: np.ndarray) -> list[tuple[str | int, str]]:
        """The id and the title (empty where there is none) of each row."""
        return [(self._ids[int(row)].as_py(), self._titles[int(row)].as_py() or "") for row in rows]

    def texts(self) -> Iterator[str]:
        """Everything that is said of each product, in one text."""
        names = [name for name in ALL_TEXT_FIELDS if name in self._table.column_names]
        for batch in self._table.select(names).to_batches(_TEXT_BATCH):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                parts = (part for field in row for part in (field if isinstance(field, list) else [field]))
                yield " ".join(part for part in parts if part)

    def _aligned(self, path: Path) -> pa.Table:
        table = read_table(path, ["product_id"])
        # What was made from the text and vectors: not needed beside the index.
        kept = [name for name in table.column_names if not pa.types.is_nested(table.schema.field(name).type)]
        kept += [
            name
            for name in table.column_names
            if pa.types.is_list(kind := table.schema.field(name).type) and pa.types.is_string(kind.value_type)
        ]
        places = pc.index_in(self._ids, value_set=table["product_id"].cast(self._ids.type).combine_chunks())
        if places.null_count == len(places):
            raise TfsageError(f"{path}: has none of the products of the index; give the table that was embedded")
        return table.select([name for name in table.column_names if name in kept]).take(places)


class Images:
    """Pictures of products, from a Parquet file with the columns product_id and image (JPEG, PNG, GIF or WebP bytes).

    Raises:
        TfsageError: the file cannot be read or lacks a column.
    """

    def __init__(self, path: Path):
        table = read_table(path, ["product_id", "image"])
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


def read_table(path: Path, needed: list[str]) -> pa.Table:
    """A Parquet file.

    Raises:
        TfsageError: it cannot be read, or lacks a column.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise TfsageError(f"{path}: cannot be read as Parquet ({error})") from None
    if missing := [name for name in needed if name not in table.column_names]:
        raise TfsageError(f"{path}: has no column {', '.join(missing)}; it has {', '.join(table.column_names)}")
    return table
