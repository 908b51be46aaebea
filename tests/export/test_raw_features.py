"""Rows of a products table as inputs of a product tower."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from export.raw_features import raw_features
from tfsage.errors import TfsageError

INPUTS = {
    "title": tf.TensorSpec([None], tf.string),
    "colors": tf.TensorSpec([None], tf.string),
    "image_embeddings": tf.TensorSpec([None, None, 2], tf.float32),
}


def features(images="views", **columns):
    rows = len(next(iter(columns.values())))
    columns.setdefault("product_id", [f"p{row}" for row in range(rows)])
    return raw_features(pa.RecordBatch.from_pydict(columns), INPUTS, images)


def test_lists_are_joined_and_what_is_missing_is_empty():
    found = features(title=["é sofa", None, ""], colors=[["red", None, "blue"], None, []])
    assert found["title"].tolist() == ["é sofa".encode(), b"", b""]
    assert [value.split() for value in found["colors"]] == [[b"red", b"blue"], [], []]
    assert features(title=["a"])["colors"].tolist() == [b""]


def test_images_are_padded_with_zeros():
    views = [[[1.0, 2.0], [3.0, 4.0]], None, [], [[5.0, 6.0]]]
    found = features(title=list("abcd"), views=views)["image_embeddings"]
    expected = [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[0, 0], [0, 0]], [[5, 6], [0, 0]]]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_slice_of_a_table_keeps_to_its_rows():
    """Arrow slices share buffers: offsets must be taken relative to the slice."""
    table = pa.RecordBatch.from_pydict(
        {
            "product_id": list("abc"),
            "title": ["x", "y", "z"],
            "colors": [["red"], ["green", "grey"], ["blue"]],
            "views": [[[1.0, 1.0]], [[2.0, 2.0], [3.0, 3.0]], [[4.0, 4.0]]],
        }
    )
    found = raw_features(table.slice(1, 1), INPUTS, "views")
    assert found["colors"].tolist() == [b"green grey"]
    np.testing.assert_array_equal(found["image_embeddings"], [[[2, 2], [3, 3]]])


def test_no_images_at_all():
    assert features(images=None, title=["a", "b"])["image_embeddings"].shape == (2, 1, 2)
    assert features(title=["a", "b"])["image_embeddings"].shape == (2, 1, 2)


def test_fixed_size_lists_are_read():
    views = pa.array([[[1.0, 2.0]], []], pa.list_(pa.list_(pa.float32(), 2)))
    np.testing.assert_array_equal(features(title=["a", "b"], views=views)["image_embeddings"], [[[1, 2]], [[0, 0]]])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"title": ["a", "b"], "views": [[[1.0, 2.0]], [[1.0]]]}, "product 'p1' has 1 values, the tower takes 2"),
        ({"title": ["a", "b"], "views": [[], [[1.0, np.nan]]]}, "product 'p1' holds NaN"),
        ({"title": ["a", "b"], "views": [[[1.0, None]], []]}, "product 'p0' holds NaN"),
        ({"title": ["a"], "views": [[["x"]]]}, "products.views: expected list<list<float>>"),
        ({"title": [3]}, "products.title: expected string or list<string>, got int64"),
    ],
)
def test_bad_columns_are_refused(columns, message):
    with pytest.raises(TfsageError, match=message):
        features(**columns)


VECTORS = {"itemsage": tf.TensorSpec([None, 2], tf.float32)}


def pooled(values, name="itemsage", key="product_id"):
    rows = pa.RecordBatch.from_pydict({key: [f"p{row}" for row in range(len(values))], name: values})
    return raw_features(rows, VECTORS, None)["itemsage"]


def test_an_embedding_column_is_one_vector_for_each_row():
    np.testing.assert_array_equal(pooled([[1.0, 2.0], None, [3.0, 4.0]]), [[1, 2], [0, 0], [3, 4]])
    several = [[[1.0, 2.0], [3.0, 4.0]], None, [], [[5.0, 6.0], [0.0, 0.0]]]
    np.testing.assert_array_equal(pooled(several), [[2, 3], [0, 0], [0, 0], [5, 6]])
    np.testing.assert_array_equal(pooled([[1.0, 2.0]], name="other"), [[0, 0]])


@pytest.mark.parametrize(
    ("values", "problem"), [([[1.0, 2.0], [3.0]], "does not have the 2 values"), ([[1.0, np.nan]], "holds NaN")]
)
def test_what_is_no_embedding_is_refused(values, problem):
    with pytest.raises(TfsageError, match=f"pins.itemsage: an embedding of pin 'p{len(values) - 1}' {problem}"):
        pooled(values, key="pin_id")
