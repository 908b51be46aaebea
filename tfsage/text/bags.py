"""Sums over bags of tokens: one vector per bag, each distinct token computed once."""

import tensorflow as tf


def bag_of_position(lengths: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """The bag that each token belongs to, when tokens are laid out bag after bag.

    Args:
        lengths: int32 [bags], tokens per bag; zeros are allowed anywhere.
        total: int32 scalar, the number of tokens, sum(lengths).

    Returns:
        int32 [total], ascending: how many bags end at or before each position.
    """
    ends = tf.cumsum(lengths)
    # Not tf.repeat: it pads every bag to the longest one.
    return tf.cumsum(tf.math.unsorted_segment_sum(tf.ones_like(ends), ends, total + 1))[:-1]


@tf.custom_gradient
def bag_sum(vectors: tf.Tensor, indices: tf.Tensor, bags: tf.Tensor, bag_count: tf.Tensor):
    """result[b] = sum of vectors[indices[t]] over the tokens t with bags[t] = b: a sparse 0/1 matrix times `vectors`.

    The gradient is the product with the transposed matrix, computed by the same kernel after sorting the tokens by
    `indices`. TensorFlow's own gradient of this kernel does not sort, and takes about three times as long.

    Args:
        vectors: floating [distinct, dimension].
        indices: int32 [tokens], rows of `vectors`.
        bags: int32 [tokens], ascending, in [0, bag_count).
        bag_count: int32 scalar.

    Returns:
        [bag_count, dimension] in the type of `vectors`; a bag without tokens, also a trailing one, is zero.
    """

    def gradient(upstream):
        order = tf.argsort(indices, stable=True)
        rows = tf.shape(vectors)[0]
        transposed = tf.sparse.segment_sum(
            upstream, tf.gather(bags, order), tf.gather(indices, order), num_segments=rows
        )
        return transposed, None, None, None

    return tf.sparse.segment_sum(vectors, indices, bags, num_segments=bag_count), gradient
