"""What the dropout inside towers draws from."""

from collections.abc import Sequence

import tensorflow as tf

from tfsage.text.splitmix import splitmix64


def seed_dropout(generators: Sequence[tf.random.Generator], seed: int, step: tf.Tensor) -> None:
    """Lets a step draw numbers that depend on the seed and the step alone, not on what was drawn before.

    How much a replica has drawn depends on the lengths of its texts, and a checkpoint holds the state of one replica
    only; so this is what a resumed training on several of them goes on from. Each replica draws numbers of its own:
    TensorFlow mixes its place into what the generator gives.

    Args:
        generators: with the Philox algorithm, Keras' choice.
        seed: of the training.
        step: an integer scalar.
    """
    for place, generator in enumerate(generators):
        key = splitmix64(tf.constant([seed % 2**64], tf.uint64)) + tf.constant(place, tf.uint64)
        key = splitmix64(splitmix64(key) + tf.cast(step, tf.uint64))
        generator.state.assign(tf.concat([tf.zeros([2], tf.int64), tf.bitcast(key, tf.int64)], 0))  # counter, key
