import numpy as np
import pyarrow as pa
import pytest

from tfsage.data.columns import first_dimension, invalid_utf8, read_vectors, texts


def raw_strings(values: list[bytes], large: bool = False) -> pa.Array:
    """A string array over any bytes, as a careless writer makes them."""
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int64 if large else np.int32)
    kind = pa.large_string() if large else pa.string()
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))])


def test_lists_are_joined_with_a_space():
    lists = pa.array([["red", "crimson"], [], None, ["a", None, "b"]])
    assert texts(lists).to_pylist() == ["red crimson", "", "", "a  b"]
    assert texts(lists.slice(1, 1)).to_pylist() == [""]
    assert texts(lists.slice(3)).to_pylist() == ["a  b"]
    assert texts(pa.array(["x", None])).to_pylist() == ["x", None]
    assert texts(pa.nulls(2)).to_pylist() == [None, None]


@pytest.mark.parametrize("large", [False, True])
def test_rows_with_bytes_that_are_not_utf8(large):
    array = raw_strings([b"fine", b"\xff", b"", "é".encode(), b"cut \xc3"], large)
    assert invalid_utf8(array).tolist() == [1, 4]
    assert invalid_utf8(array.slice(2)).tolist() == [2]
    assert invalid_utf8(pa.array(["fine", None])).tolist() == []


def test_bytes_that_are_not_utf8_within_lists_and_dictionaries():
    items = raw_strings([b"a", b"\xfe", b"b", b"\xff"])
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 1, 3, 4], pa.int32()), items)
    assert invalid_utf8(lists).tolist() == [2, 3]
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, 1]), items.slice(0, 2))
    assert invalid_utf8(encoded).tolist() == [1, 3]


@pytest.mark.parametrize("inner", [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.float16())])
def test_vectors_of_rows(inner):
    array = pa.array([[[1.0, 2.0]], [], None, [[3.0, 4.0], [5.0, 6.0]]], pa.list_(inner))
    vectors = read_vectors(array, several=True, dimension=2)
    np.testing.assert_array_equal(vectors.values, [[1, 2], [3, 4], [5, 6]])
    assert vectors.values.dtype == np.float32
    assert vectors.lengths.tolist() == [1, 0, 0, 2] and vectors.row.tolist() == [0, 3, 3]
    assert not vectors.wrong_length.any() and not vectors.not_finite.any()
    part = read_vectors(array.slice(1), several=True, dimension=2)
    np.testing.assert_array_equal(part.values, [[3, 4], [5, 6]])


def test_one_vector_a_row():
    array = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32()))
    vectors = read_vectors(array, several=False, dimension=2)
    np.testing.assert_array_equal(vectors.values, [[1, 2], [3, 4]])
    assert vectors.lengths.tolist() == [1, 0, 1]


def test_wrong_vectors_are_told_apart():
    array = pa.array([[[1.0, 2.0], [1.0]], [[np.nan, 0.0]], [[1.0, None]], [None], [[7.0, 8.0]], [[1e39, 0.0]]])
    vectors = read_vectors(array, several=True, dimension=2)
    assert vectors.wrong_length.tolist() == [False, True, False, False, True, False, False]
    assert vectors.not_finite.tolist() == [False, False, True, True, False, False, True]
    np.testing.assert_array_equal(vectors.values[[0, 5]], [[1, 2], [7, 8]])


def test_the_dimension_is_that_of_the_first_vector():
    assert first_dimension(pa.array([None, [], [[1.0, 2.0, 3.0]]]), several=True) == 3
    assert first_dimension(pa.array([None, [1.0, 2.0]]), several=False) == 2
    assert first_dimension(pa.array([None, []], pa.list_(pa.list_(pa.float32()))), several=True) is None
