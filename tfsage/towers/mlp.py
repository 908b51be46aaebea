"""The multi-layer perceptron that several towers contain."""

from collections.abc import Sequence

import tf_keras

RESIDUAL_SCALE = 1e-3
"""`last_scale` of an MLP beside an identity map: what it adds at first is a few percent of the rest."""


def identity_map(dimension: int, name: str) -> tf_keras.layers.Dense:
    """A linear map that starts as the identity (on the first entries, where the sizes differ)."""
    return tf_keras.layers.Dense(dimension, kernel_initializer=tf_keras.initializers.Identity(), name=name)


def mlp(hidden: Sequence[int], dimension: int, name: str, last_scale: float = 1.0) -> tf_keras.Sequential:
    """Dense layers of the `hidden` sizes with ReLU, then a linear one: floating [..., any] -> [..., dimension].

    Biases start at zero, kernels Glorot-uniform; without `hidden` it is one linear map. `last_scale` below one lets the
    output start small, for an MLP that is added to something.
    """
    layers = [tf_keras.layers.Dense(size, activation="relu", name=f"hidden_{i}") for i, size in enumerate(hidden)]
    last = tf_keras.layers.Dense(
        dimension, kernel_initializer=tf_keras.initializers.VarianceScaling(last_scale, "fan_avg"), name="linear"
    )
    return tf_keras.Sequential([*layers, last], name=name)
