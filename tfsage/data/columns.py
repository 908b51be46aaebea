"""Reads the columns of a batch of rows: texts with their lists joined, vectors with what is wrong about them."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfsage.data.schema import is_list


class Vectors(NamedTuple):
    """The vectors of some rows, one row after the other.

    Attributes:
        values: float32 [vectors, dimension]; a vector of another length is all zeros here.
        lengths: int64 [rows], vectors of each row.
        wrong_length: bool [vectors]; null vectors count as of length 0.
        not_finite: bool [vectors], some element is null, NaN or infinite (in float32).
    """

    values: np.ndarray
    lengths: np.ndarray
    wrong_length: np.ndarray
    not_finite: np.ndarray

    @property
    def row(self) -> np.ndarray:
        """The row of each vector, int64 [vectors]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def plain(array: pa.Array) -> pa.Array:
    """The same values without dictionary encoding or string views."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array


def texts(array: pa.Array) -> pa.Array:
    """A text column as large_string [rows], lists joined with a space; null where a string is null."""
    if pa.types.is_null(array.type):
        return array.cast(pa.large_string())
    if is_list(array.type):
        items = plain(array.flatten()).cast(pa.large_string()).fill_null("")
        lists = pa.LargeListArray.from_arrays(_offsets(array), items)
        return pc.binary_join(lists, pa.scalar(" ", pa.large_string()))
    return plain(array).cast(pa.large_string())


def invalid_utf8(array: pa.Array) -> np.ndarray:
    """The rows (int64, rising) of a text or id column whose bytes are not UTF-8."""
    if is_list(array.type):
        items = invalid_utf8(array.flatten())
        return np.unique(np.searchsorted(np.asarray(_offsets(array)), items, side="right") - 1)
    if not pa.types.is_dictionary(array.type) and not _is_text(array.type):
        return np.zeros(0, np.int64)
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    if not _is_text(array.type):
        return np.zeros(0, np.int64)
    try:
        array.validate(full=True)
        return np.zeros(0, np.int64)
    except pa.ArrowInvalid:
        raw = array.view(pa.binary() if pa.types.is_string(array.type) else pa.large_binary()).to_pylist()
        return np.array([row for row, value in enumerate(raw) if value is not None and not _decodes(value)], np.int64)


def read_vectors(array: pa.Array, several: bool, dimension: int) -> Vectors:
    """The vectors of an embedding column.

    Args:
        array: list<float> [rows], or list<list<float>> [rows] when `several`.
        several: whether a row holds a list of vectors, or one.
        dimension: the length that each vector should have.
    """
    if several:
        lengths = np.diff(np.asarray(_offsets(array)))
        vectors = array.flatten()
    else:
        lengths = pc.cast(pc.is_valid(array), pa.int64()).to_numpy(zero_copy_only=False)
        vectors = array.drop_null()
    offsets = np.asarray(_offsets(vectors))
    sizes = np.diff(offsets)
    elements = vectors.flatten()
    absent = elements.is_null().to_numpy(zero_copy_only=False) if elements.null_count else None
    flat = np.asarray(elements.to_numpy(zero_copy_only=False))
    with np.errstate(over="ignore"):
        flat = flat.astype(np.float32)
    if absent is not None:
        flat[absent] = np.nan
    wrong = sizes != dimension
    if not wrong.any():
        values = flat.reshape(-1, dimension)
        return Vectors(values, lengths, wrong, ~np.isfinite(values).all(axis=1))
    owner = np.repeat(np.arange(len(sizes)), sizes)
    not_finite = np.bincount(owner[~np.isfinite(flat)], minlength=len(sizes)) > 0
    values = np.zeros((len(sizes), dimension), np.float32)
    values[~wrong] = flat[~wrong[owner]].reshape(-1, dimension)
    return Vectors(values, lengths, wrong, not_finite)


def first_dimension(array: pa.Array, several: bool) -> int | None:
    """The length of the first vector of an embedding column, None where there is none."""
    vectors = array.flatten() if several else array.drop_null()
    sizes = np.diff(np.asarray(_offsets(vectors)))
    return int(sizes[sizes > 0][0]) if (sizes > 0).any() else None


def _offsets(array: pa.Array) -> pa.Array:
    """int64 [rows + 1]: where the items of each list begin in `array.flatten()`; nulls are empty."""
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), pa.int64())


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _decodes(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
