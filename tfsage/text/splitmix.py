"""splitmix64 in the graph: a seeded, reproducible way to spread integers over 64 bits."""

import tensorflow as tf


def splitmix64(keys: tf.Tensor) -> tf.Tensor:
    """The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection of the 64-bit integers.

    Args:
        keys: uint64, any shape.

    Returns:
        uint64, the same shape.
    """
    keys = keys + tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    keys = _xor_shift(keys, 30) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
    keys = _xor_shift(keys, 27) * tf.constant(0x94D049BB133111EB, tf.uint64)
    return _xor_shift(keys, 31)


def _xor_shift(keys: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(keys, tf.bitwise.right_shift(keys, tf.constant(bits, tf.uint64)))
