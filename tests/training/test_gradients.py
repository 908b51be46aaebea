import numpy as np
import pytest
import tensorflow as tf

from tfsage.training.gradients import DistinctSlices, clip_by_global_norm, sum_duplicates


def slices(rows, values, size):
    values = tf.constant(values, tf.float32)
    return tf.IndexedSlices(values, tf.constant(rows), tf.constant([size, values.shape[1]]))


def test_sum_duplicates_gives_each_row_once_with_its_sum():
    gradient = sum_duplicates(slices([4, 1, 4, 4], [[1, 2], [3, 4], [5, 6], [7, 8]], 6))
    assert isinstance(gradient, DistinctSlices)
    assert sorted(gradient.indices.numpy()) == [1, 4]
    dense = tf.convert_to_tensor(tf.IndexedSlices(gradient.values, gradient.indices, gradient.dense_shape))
    np.testing.assert_array_equal(dense, [[0, 0], [3, 4], [0, 0], [0, 0], [13, 16], [0, 0]])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("rows", [[], [4, 1], [4, 1, 4, 4, 0]])
def test_sum_duplicates_of_any_shape_and_type(dtype, shape, rows):
    values = np.random.default_rng(1).integers(-9, 9, size=(len(rows), *shape))
    signature = [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, *shape], dtype)]

    @tf.function(input_signature=signature)
    def run(rows, values):
        gradient = sum_duplicates(tf.IndexedSlices(values, rows))
        return gradient.indices, gradient.values

    indices, sums = run(tf.constant(rows, tf.int64), tf.constant(values, dtype))
    expected = np.zeros((6, *shape))
    np.add.at(expected, np.array(rows, int), values)
    assert sorted(indices.numpy()) == sorted(set(rows))
    np.testing.assert_array_equal(sums, expected[indices])
    assert sums.dtype == dtype


def test_sum_duplicates_leaves_the_rest_alone():
    dense = tf.ones([3])
    distinct = sum_duplicates(slices([2, 2], [[1.0], [1.0]], 3))
    assert sum_duplicates(dense) is dense
    assert sum_duplicates(distinct) is distinct


@pytest.mark.parametrize("clip_norm", [0.1, 1.0, 1000.0])
def test_clip_is_that_of_the_dense_gradients(clip_norm):
    generator = np.random.default_rng(0)
    rows, values = generator.integers(0, 5, 40), generator.normal(size=(40, 3))
    table, matrix, scalar = np.zeros((5, 3)), generator.normal(size=(2, 4)), np.array(0.7)
    np.add.at(table, rows, values)
    norm = np.sqrt(sum(np.sum(part**2) for part in (table, matrix, scalar)))
    expected = [part * min(1.0, clip_norm / norm) for part in (table, matrix, scalar)]
    sparse = sum_duplicates(slices(rows, values, 5))
    clipped = clip_by_global_norm([sparse, tf.constant(matrix, tf.float32), tf.constant(scalar, tf.float32)], clip_norm)
    assert isinstance(clipped[0], DistinctSlices)
    np.testing.assert_allclose(tf.convert_to_tensor(clipped[0]), expected[0], rtol=1e-5)
    np.testing.assert_allclose(clipped[1], expected[1], rtol=1e-5)
    np.testing.assert_allclose(clipped[2], expected[2], rtol=1e-5)


def test_clip_of_gradients_that_are_all_zero():
    np.testing.assert_array_equal(clip_by_global_norm([tf.zeros([3])], 1.0)[0], np.zeros(3))
