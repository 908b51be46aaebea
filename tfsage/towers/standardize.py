"""Frozen embeddings brought to zero mean and comparable spread, entry by entry."""

import numpy as np
import tensorflow as tf
import tf_keras

_LEAST_SPREAD = 0.25
"""An entry that hardly varies is not blown up beyond this share of the mean spread."""


class Standardize(tf_keras.layers.Layer):
    """(x − mean) / (spread + 0.25 · mean spread), with statistics of a sample of the data; before `adapt`, x itself.

    Descriptors such as histograms share a large mean, which would make all cosines alike, and have entries of very
    different spread. The statistics are weights that are not trained, so a checkpoint and an exported tower hold them.

    Args:
        size: entries of a vector.
    """

    def __init__(self, size: int, name: str = "standardize"):
        super().__init__(name=name, dtype="float32")
        self.mean = self.add_weight(name="mean", shape=(size,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(size,), initializer="ones", trainable=False)

    def adapt(self, sample: np.ndarray) -> None:
        """Takes the statistics of `sample`, float [n, size]."""
        spread = sample.std(axis=0, dtype=np.float64)
        self.mean.assign(sample.mean(axis=0, dtype=np.float64))
        self.scale.assign(1.0 / (spread + _LEAST_SPREAD * spread.mean() + 1e-12))

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """float32 [..., size] → float32 [..., size]."""
        return (vectors - self.mean) * self.scale
