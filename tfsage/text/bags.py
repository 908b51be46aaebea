"""Sums over bags of tokens: one vector per bag, each distinct token computed once."""

import tensorflow as tf

from tfsage.sparse import product, transposed_product


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

    The gradient is the product with the transposed matrix. Both products go through the rows of the result once, on
    all cores; TensorFlow's segment sums work on one, and their gradient writes to rows in random order.

    Args:
        vectors: float32 or float64 [distinct, dimension].
        indices: int32 [tokens], rows of `vectors`.
        bags: int32 [tokens], ascending, in [0, bag_count).
        bag_count: int32 scalar.

    Returns:
        [bag_count, dimension] in the type of `vectors`; a bag without tokens, also a trailing one, is zero.
    """
    distinct = tf.shape(vectors)[0]
    entries = bags, indices, tf.ones_like(indices, vectors.dtype)

    def gradient(upstream):
        return transposed_product(*entries, bag_count, distinct, upstream), None, None, None

    return product(*entries, bag_count, distinct, vectors), gradient


@tf.custom_gradient
def weighted_pairs(vectors: tf.Tensor, places: tf.Tensor, weights: tf.Tensor):
    """result[t] = weights[t, 0] vectors[places[t, 0]] + weights[t, 1] vectors[places[t, 1]].

    Args:
        vectors: float32 or float64 [rows, dimension].
        places: int32 [tokens, 2], rows of `vectors`.
        weights: [tokens, 2] in the type of `vectors`.

    Returns:
        [tokens, dimension] in the type of `vectors`.
    """
    tokens, rows = tf.shape(places)[0], tf.shape(vectors)[0]
    owners = tf.reshape(tf.stack([tf.range(tokens)] * 2, 1), [-1])
    entries = owners, tf.reshape(places, [-1]), tf.reshape(weights, [-1])

    def gradient(upstream):
        dots = [tf.reduce_sum(upstream * tf.gather(vectors, places[:, side]), 1) for side in (0, 1)]
        return transposed_product(*entries, tokens, rows, upstream), None, tf.stack(dots, 1)

    return product(*entries, tokens, rows, vectors), gradient
