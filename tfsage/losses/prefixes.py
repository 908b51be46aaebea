"""Matryoshka: the same loss on the leading dimensions alone (Kusupati et al., NeurIPS 2022)."""

import tensorflow as tf

from tfsage.losses.sampled_softmax import compute_cast

_SMALLEST_SQUARED_NORM = 1e-12


def leading(embedding: tf.Tensor, dimensions: int) -> tf.Tensor:
    """The first dimensions of unit vectors, of unit length again: what a search over shortened vectors compares.

    >>> leading(tf.constant([[0.48, 0.36, 0.8]]), 2).numpy().round(4).tolist()
    [[0.800000011920929, 0.6000000238418579]]

    Args:
        embedding: floating [n, d].
        dimensions: at most d.

    Returns:
        [n, dimensions], float32 or float64; where the leading dimensions are all zero (norm below 1e-6) they stay as
        they are and have gradient zero.
    """
    vectors = compute_cast(embedding)[:, :dimensions]
    squared = tf.reduce_sum(tf.square(vectors), axis=1, keepdims=True)
    empty = squared < _SMALLEST_SQUARED_NORM
    unit = vectors * tf.math.rsqrt(tf.where(empty, tf.ones_like(squared), squared))
    return tf.where(empty, tf.stop_gradient(vectors), unit)
