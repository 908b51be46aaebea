"""The last step of every tower."""

import tensorflow as tf

_SMALLEST_SQUARED_NORM = 1e-12


def l2_normalize(vectors: tf.Tensor) -> tf.Tensor:
    """Unit vectors, in float32 whatever the precision of the input.

    A vector with norm below 1e-6 (an entity with nothing in it) becomes the constant unit vector 1/sqrt(dimension) and
    has gradient zero: dividing by a clipped norm would give it a gradient of 1e6 instead.

    Args:
        vectors: floating [..., dimension].

    Returns:
        float32 [..., dimension], every vector of norm one.
    """
    vectors = tf.cast(vectors, tf.float32)
    squared = tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)
    empty = squared < _SMALLEST_SQUARED_NORM
    unit = vectors * tf.math.rsqrt(tf.where(empty, 1.0, squared))
    return tf.where(empty, tf.math.rsqrt(tf.cast(tf.shape(vectors)[-1], tf.float32)), unit)
