"""Gradients of tables: repeated rows, and the norm of all gradients together."""

from collections.abc import Sequence

import tensorflow as tf

from tfsage.sparse import transposed_product


class DistinctSlices(tf.IndexedSlices):
    """Slices of which no two have the same index."""


def sum_duplicates(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | DistinctSlices:
    """Adds up the slices of each row; a dense gradient, or one that is distinct already, comes back as it is.

    A row that a batch uses m times arrives as m slices. Whatever is not linear in the gradient (a norm, a square)
    must see their sum.
    """
    if not isinstance(gradient, tf.IndexedSlices) or isinstance(gradient, DistinctSlices):
        return gradient
    rows, positions = tf.unique(gradient.indices)
    # Most gradients have no repeated row; then `rows` are the indices as they come.
    values = tf.cond(
        tf.size(rows) == tf.size(positions),
        lambda: gradient.values,
        lambda: _sums(gradient.values, positions, tf.size(rows)),
    )
    return DistinctSlices(values, rows, gradient.dense_shape)


def _sums(values: tf.Tensor, positions: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """result[p] = the sum of the values [n, ...] at position p: [count, ...]."""
    if values.shape.rank == 2 and values.dtype in (tf.float32, tf.float64):
        # The same, more than twice as fast.
        size = tf.size(positions)
        return transposed_product(tf.range(size), positions, tf.ones_like(positions, values.dtype), size, count, values)
    return tf.math.unsorted_segment_sum(values, positions, count)


def clip_by_global_norm(
    gradients: Sequence[tf.Tensor | DistinctSlices], clip_norm: float
) -> list[tf.Tensor | DistinctSlices]:
    """Scales all gradients by min(1, clip_norm / norm), norm = the Euclidean norm of all of them together.

    Args:
        gradients: dense or `DistinctSlices`: with repeated rows the norm would not be that of the gradient.
        clip_norm: the largest norm let through.
    """
    # float32 holds the sum also where a gradient is of half precision.
    precise = tf.float64 if any(g.dtype == tf.float64 for g in gradients) else tf.float32
    norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(_values(g), precise)) for g in gradients]))
    scale = clip_norm / tf.maximum(norm, clip_norm)
    return [_with_values(g, _values(g) * tf.cast(scale, g.dtype)) for g in gradients]


def _values(gradient: tf.Tensor | DistinctSlices) -> tf.Tensor:
    return gradient.values if isinstance(gradient, DistinctSlices) else gradient


def _with_values(gradient: tf.Tensor | DistinctSlices, values: tf.Tensor) -> tf.Tensor | DistinctSlices:
    if isinstance(gradient, DistinctSlices):
        return DistinctSlices(values, gradient.indices, gradient.dense_shape)
    return values
