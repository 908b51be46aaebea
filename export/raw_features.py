"""Rows of a products table as the raw inputs of an exported product tower."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfsage.data.columns import plain, read_vectors
from tfsage.data.schema import EXPECTED, accepts, is_list, is_vectors
from tfsage.errors import TfsageError

IMAGE_INPUT = "image_embeddings"


def raw_features(
    batch: pa.RecordBatch, inputs: Mapping[str, tf.TensorSpec], image_column: str | None
) -> dict[str, np.ndarray]:
    """The inputs of a product tower's `serving_default` for the rows of a products table.

    Args:
        batch: rows of the table; text columns that it lacks are empty, as are images; embeddings are zeros.
        inputs: name -> spec of the tower's raw inputs.
        image_column: the column that fills the input `image_embeddings`.

    Returns:
        For each text input an object array of bytes [rows] (lists joined with a space); for the image input float32
        [rows, most images of a row, D], zeros where a row has fewer; for any other input the embedding column of that
        name, float32 [rows, D], the mean of a row's vectors where it has several.

    Raises:
        TfsageError: a column has a wrong type, or an image embedding another dimension or a value that is not finite.
    """
    return {name: _input(batch, name, spec, image_column) for name, spec in inputs.items()}


def text_column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A text column as strings [rows]: lists joined with a space, nulls and an absent column empty."""
    column = _column(batch, name, "text")
    if column is None:
        return pa.repeat("", len(batch))
    if is_list(column.type):
        ends = np.cumsum([0, *pc.list_value_length(column).fill_null(0).to_pylist()], dtype=np.int32)
        words = column.flatten().cast(pa.string()).fill_null("")
        column = pc.binary_join(pa.ListArray.from_arrays(ends, words), " ")
    return column.cast(pa.string()).fill_null("")


def _input(batch: pa.RecordBatch, name: str, spec: tf.TensorSpec, image_column: str | None) -> np.ndarray:
    if spec.dtype == tf.string:
        return text_column(batch, name).cast(pa.binary()).to_numpy(zero_copy_only=False)
    if len(spec.shape) == 3:
        return _images(batch, image_column if name == IMAGE_INPUT else name, spec.shape[-1])
    return _means(batch, name, spec.shape[-1])


def _means(batch: pa.RecordBatch, name: str, dimension: int) -> np.ndarray:
    if name not in batch.schema.names:
        return np.zeros((len(batch), dimension), np.float32)
    several = is_vectors(batch.column(name).type)
    column = plain(_column(batch, name, "vectors" if several else "vector"))
    found = read_vectors(column, several, dimension)
    if found.wrong_length.any():
        _refuse(batch, found.row[found.wrong_length.argmax()], name, f"does not have the {dimension} values it should")
    if found.not_finite.any():
        _refuse(batch, found.row[found.not_finite.argmax()], name, "holds NaN or infinite values")
    # As in training, a vector of zeros is none.
    there = found.values.any(axis=1)
    totals = np.zeros((len(batch), dimension), np.float32)
    np.add.at(totals, found.row[there], found.values[there])
    counts = np.bincount(found.row[there], minlength=len(batch))
    return totals / np.maximum(counts, 1)[:, None].astype(np.float32)


def _images(batch: pa.RecordBatch, name: str | None, dimension: int) -> np.ndarray:
    column = _column(batch, name, "vectors") if name else None
    if column is None:
        return np.zeros((len(batch), 1, dimension), np.float32)
    counts = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    vectors = column.flatten()
    sizes = pc.list_value_length(vectors).fill_null(0).to_numpy(zero_copy_only=False)
    values = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    owner = np.repeat(np.arange(len(batch)), counts)
    if (wrong := sizes != dimension).any():
        row = owner[wrong.argmax()]
        _refuse(batch, row, name, f"has {sizes[wrong][0]} values, the tower takes {dimension}")
    values = values.reshape(-1, dimension)
    if (wrong := ~np.isfinite(values).all(axis=1)).any():
        _refuse(batch, owner[wrong.argmax()], name, "holds NaN or infinite values")
    dense = np.zeros((len(batch), max(1, counts.max(initial=0)), dimension), np.float32)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    dense[owner, place] = values
    return dense


def _column(batch: pa.RecordBatch, name: str, kind: str) -> pa.Array | None:
    if name not in batch.schema.names:
        return None
    column = batch.column(name)
    if not accepts(kind, column.type):
        raise TfsageError(f"products.{name}: expected {EXPECTED[kind]}, got {column.type}")
    return column


def _refuse(batch: pa.RecordBatch, row: int, name: str, problem: str) -> None:
    kind = "product" if "product_id" in batch.schema.names else "pin"
    entity = batch.column(f"{kind}_id")[row].as_py()
    raise TfsageError(
        f"{kind}s.{name}: an embedding of {kind} {entity!r} {problem}; mend the table, "
        f"or run `tfsage prepare --on-bad-rows quarantine` and export again"
    )
