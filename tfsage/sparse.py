"""Products of a sparse matrix with a dense one, on all cores.

The matrix [row_count, column_count] is given by its entries: `rows` int [n], ascending; `columns` int [n]; `values`
[n], float32 or float64 like the dense matrix. Several entries in one place add up.
"""

import tensorflow as tf

# A product makes its matrix for itself: a SavedModel can hold neither a gradient nor a branch that was handed one. The
# kernel divides by the number of rows of the result, so that there is always one, which is cut off where it is not due.


def product(
    rows: tf.Tensor,
    columns: tf.Tensor,
    values: tf.Tensor,
    row_count: tf.Tensor,
    column_count: tf.Tensor,
    dense: tf.Tensor,
) -> tf.Tensor:
    """The matrix times `dense` [column_count, d]: [row_count, d]."""
    matrix = _matrix(rows, columns, values, tf.maximum(row_count, 1), column_count)
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=dense)[:row_count]


def transposed_product(
    rows: tf.Tensor,
    columns: tf.Tensor,
    values: tf.Tensor,
    row_count: tf.Tensor,
    column_count: tf.Tensor,
    dense: tf.Tensor,
) -> tf.Tensor:
    """The transposed matrix times `dense` [row_count, d]: [column_count, d]."""
    matrix = _matrix(rows, columns, values, row_count, tf.maximum(column_count, 1))
    # The product could transpose by itself, but far slower: it adds up a whole result of each thread.
    transposed = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=dense.dtype)
    return tf.raw_ops.SparseMatrixMatMul(a=transposed, b=dense)[:column_count]


def _matrix(rows, columns, values, row_count, column_count) -> tf.Tensor:
    """In compressed rows."""
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.stack([tf.cast(rows, tf.int64), tf.cast(columns, tf.int64)], 1),
        values=values,
        dense_shape=tf.cast(tf.stack([row_count, column_count]), tf.int64),
    )
