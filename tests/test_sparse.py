import numpy as np
import pytest
import tensorflow as tf

from tfsage.sparse import product, transposed_product


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (0, 3), (4, 0), (0, 0)])
@pytest.mark.parametrize("count", [0, 7])
def test_products_are_those_of_the_dense_matrix(dtype, shape, count):
    """Also of matrices with empty rows, several entries in one place, no entries, no rows or no columns."""
    rng = np.random.default_rng(2)
    count = count if all(shape) else 0
    rows = np.sort(rng.integers(0, max(shape[0], 1), count)).astype(np.int32)
    columns = rng.integers(0, max(shape[1], 1), count).astype(np.int32)
    values = rng.integers(-3, 4, count)
    dense = np.zeros(shape)
    np.add.at(dense, (rows, columns), values)
    left, right = rng.integers(-3, 4, (shape[1], 5)), rng.integers(-3, 4, (shape[0], 5))

    # Of unknown sizes, as in training: what is known to be empty might never be computed.
    any_matrix = tf.TensorSpec([None, 5], dtype)
    entries = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], dtype)]
    sizes = [tf.TensorSpec([], tf.int32)] * 2

    @tf.function(input_signature=[*entries, *sizes, any_matrix, any_matrix])
    def run(rows, columns, values, row_count, column_count, left, right):
        matrix = rows, columns, values, row_count, column_count
        return product(*matrix, left), transposed_product(*matrix, right)

    given = [tf.constant(value, dtype) for value in (values, left, right)]
    found = run(rows, columns, given[0], *shape, given[1], given[2])
    np.testing.assert_array_equal(found[0], dense @ left)
    np.testing.assert_array_equal(found[1], dense.T @ right)
