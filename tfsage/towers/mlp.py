"""The multi-layer perceptron that several towers contain."""

from collections.abc import Sequence

import tf_keras


def mlp(hidden: Sequence[int], dimension: int, name: str) -> tf_keras.Sequential:
    """Dense layers of the `hidden` sizes with ReLU, then a linear one: floating [..., any] -> [..., dimension].

    Biases start at zero, kernels Glorot-uniform; without `hidden` it is one linear map.
    """
    layers = [tf_keras.layers.Dense(size, activation="relu", name=f"hidden_{i}") for i, size in enumerate(hidden)]
    return tf_keras.Sequential([*layers, tf_keras.layers.Dense(dimension, name="linear")], name=name)
