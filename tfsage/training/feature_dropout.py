"""Dropout of input features, decided by a random key of each row, so that the layout of a batch does not matter."""

import numpy as np
import tensorflow as tf

from tfsage.text.bags import bag_of_position
from tfsage.text.splitmix import splitmix64


def drop_tokens(features: dict, rate: float, keys: tf.Tensor) -> dict:
    """Leaves each token of a text out with probability `rate`.

    Args:
        features: with token_ids int32 [T] and token_lengths int32 [n, bags]; returned as they are without those.
        rate: in [0, 1).
        keys: int64 [n], random, one for each row.
    """
    if not rate or "token_lengths" not in features:
        return features
    ids, lengths = features["token_ids"], features["token_lengths"]
    keep = splitmix64(_keys_of_places(keys, tf.reduce_sum(lengths, axis=1), tf.size(ids))) >= _share(rate, tf.uint64)
    bags = tf.reshape(lengths, [-1])
    owner = bag_of_position(bags, tf.size(ids))
    kept = tf.math.unsorted_segment_sum(tf.cast(keep, tf.int32), owner, tf.size(bags))
    return {**features, "token_ids": tf.boolean_mask(ids, keep), "token_lengths": tf.reshape(kept, tf.shape(lengths))}


def drop_entries(features: dict, rate: float, keys: tf.Tensor, blank: np.ndarray) -> dict:
    """Replaces each entry of images and of query embeddings by that of `blank` with probability `rate`.

    Args:
        features: with images float32 [I, D] and image_lengths int32 [n], or embedding float32 [n, D], or neither.
        rate: in [0, 1).
        keys: int64 [n], random, one for each row.
        blank: float32 [D] or [1], the entries that say nothing.
    """
    if not rate:
        return features
    kept = dict(features)
    if "images" in features:
        images = features["images"]
        kept["images"] = _drop(
            images, _keys_of_places(keys, features["image_lengths"], tf.shape(images)[0]), rate, blank
        )
    if "embedding" in features:
        kept["embedding"] = _drop(features["embedding"], tf.bitcast(keys, tf.uint64), rate, blank)
    return kept


def _drop(vectors: tf.Tensor, keys: tf.Tensor, rate: float, blank: np.ndarray) -> tf.Tensor:
    columns = splitmix64(tf.cast(tf.range(tf.shape(vectors)[1]), tf.uint64))
    mixed = _mix32(tf.cast(splitmix64(keys), tf.uint32)[:, None] + tf.cast(columns, tf.uint32))
    return tf.where(mixed >= _share(rate, tf.uint32), vectors, blank)


def _keys_of_places(keys: tf.Tensor, lengths: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """A key for each of the `lengths` (int32 [n]) places of each row: uint64 [total]."""
    row = bag_of_position(lengths, total)
    place = tf.range(total) - tf.gather(tf.cumsum(lengths, exclusive=True), row)
    return tf.gather(tf.bitcast(keys, tf.uint64), row) + tf.cast(place, tf.uint64)


def _share(rate: float, dtype: tf.DType) -> tf.Tensor:
    """The number below which a share `rate` of all unsigned integers of a type lies."""
    return tf.constant(int(rate * 2 ** (8 * dtype.size)), dtype)


def _mix32(keys: tf.Tensor) -> tf.Tensor:
    """Spreads uint32 over 32 bits: two rounds of xor-shift and multiplication, half the cost of `splitmix64`."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        keys = tf.bitwise.bitwise_xor(keys, tf.bitwise.right_shift(keys, tf.constant(shift, tf.uint32)))
        keys *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(keys, tf.bitwise.right_shift(keys, tf.constant(16, tf.uint32)))
