"""Rows of a dictionary of features, some of which lie flat with a length for each row."""

import tensorflow as tf

_FLAT = {"token_lengths": "token_ids", "image_lengths": "images", "neighbour_lengths": "neighbours"}
"""Lengths (int32 [rows] or [rows, bags]) → the flat values they belong to, in the order of rows."""


def count_rows(features: dict[str, tf.Tensor]) -> tf.Tensor:
    """How many rows there are, an int32 scalar."""
    flat = set(_flat(features).values())
    return tf.shape(next(value for name, value in features.items() if name not in flat))[0]


def slice_rows(features: dict[str, tf.Tensor], first: tf.Tensor, last: tf.Tensor) -> dict[str, tf.Tensor]:
    """The rows from `first` (included) to `last` (excluded), int32 scalars."""
    sliced = {name: value[first:last] for name, value in features.items()}
    for lengths, values in _flat(features).items():
        start = tf.reduce_sum(features[lengths][:first])
        sliced[values] = features[values][start : start + tf.reduce_sum(sliced[lengths])]
    return sliced


def _flat(features: dict[str, tf.Tensor]) -> dict[str, str]:
    return {lengths: values for lengths, values in _FLAT.items() if lengths in features}
