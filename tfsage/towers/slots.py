"""From bags and flat lists of vectors to slots of comparable scale."""

import tensorflow as tf

_EPSILON = 1e-6


def rms_normalize(vectors: tf.Tensor) -> tf.Tensor:
    """x / sqrt(mean(x^2) + 1e-6): entries of order one whatever the length of x, without parameters.

    The sum over the tokens of a description is many times longer than that of a brand, and image embeddings may have
    any scale; without a normalisation the longest slot drowns the others, and training with it (research on hash
    embeddings: always sum, then normalise). Zero stays zero, so that an empty field equals an absent one, and the
    gradient there is finite (at most 1e3).

    Args:
        vectors: float32 [..., size].
    """
    return vectors * tf.math.rsqrt(tf.reduce_mean(tf.square(vectors), axis=-1, keepdims=True) + _EPSILON)


def present_vectors(vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The vectors that are not all zeros.

    Args:
        vectors: float32 [rows, n, size].

    Returns:
        float32 [total, size], row after row, and how many each row has, int32 [rows].
    """
    present = tf.reduce_any(vectors != 0.0, axis=-1)
    return tf.boolean_mask(vectors, present), tf.reduce_sum(tf.cast(present, tf.int32), axis=1)


def pad_slots(values: tf.Tensor, lengths: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """Slots of equal number per row, from a flat list of vectors.

    Args:
        values: floating [total, size], row after row.
        lengths: int32 [rows], vectors per row; sum(lengths) = total.
        count: how many slots each row gets.

    Returns:
        [rows, count, size]: the first `count` vectors of a row; zeros in the slots it does not fill.
    """
    ragged = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
    return ragged.to_tensor(shape=tf.stack([-1, count, values.shape[1]]))
