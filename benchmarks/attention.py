"""The transformer of ItemSage with its head, against the whole sequence through keras_nlp.layers.TransformerEncoder.

    python -m benchmarks.attention [--smoke]

Batch 256, 20 image and 12 text slots, all of them filled, [CLS], the paper's widths, float32. Both builds are one
`tf.function` with the same weights; that values and gradients agree to 1e-5 is checked in the run. Gradients reach
every weight and every slot in both.
"""

import json
from typing import Annotated

import keras_nlp
import numpy as np
import tensorflow as tf
import tf_keras
import typer

from benchmarks.timing import interleave
from tfsage.towers.cls_encoder import ClsEncoder
from tfsage.towers.mlp import mlp

TOLERANCE = 1e-5


class StraightEncoder(tf_keras.layers.Layer):
    """`ClsEncoder` as one writes it first: linear maps, every block over the whole sequence, then position 0.

    Its weights come in the order of those of `ClsEncoder`, which takes the same arguments.
    """

    def __init__(self, capacities: dict[str, int], width: int, heads: int, feed_forward: int, layers: int):
        super().__init__()
        self.cls = self.add_weight("cls", [width], initializer=tf_keras.initializers.RandomNormal(stddev=0.02))
        self.maps = {group: tf_keras.layers.Dense(width) for group in capacities}
        self.blocks = [keras_nlp.layers.TransformerEncoder(feed_forward, heads) for _ in range(layers)]

    def call(self, slots: dict[str, tf.Tensor]) -> tf.Tensor:
        tokens = [layer(slots[group]) for group, layer in self.maps.items()]
        cls = tf.broadcast_to(self.cls, [tf.shape(tokens[0])[0], 1, self.cls.shape[0]])
        tokens = tf.concat([cls, *tokens], axis=1)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[:, 0]


def copy_weights(source: tf_keras.layers.Layer, target: tf_keras.layers.Layer) -> None:
    """Gives `target` the weights of `source`: the same in the same order, up to how their axes are split."""
    for old, new in zip(source.weights, target.weights, strict=True):
        new.assign(tf.reshape(old, new.shape))


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 15,
) -> None:
    """Prints milliseconds of both builds and, as the last line, one JSON object."""
    rows, size, width, heads, hidden, dimension = (8, 16, 32, 4, 64, 16) if smoke else (256, 256, 512, 8, 2048, 256)
    rounds = 2 if smoke else rounds
    capacities = {"image": 20, "text": 12}
    rng = np.random.default_rng(1)
    tf_keras.utils.set_random_seed(1)
    slots = {group: tf.constant(rng.standard_normal((rows, n, size), np.float32)) for group, n in capacities.items()}
    upstream = tf.constant(rng.standard_normal((rows, dimension), np.float32))

    sizes = {"width": width, "heads": heads, "feed_forward": hidden, "layers": 1}
    builds = {"tfsage": ClsEncoder(capacities, **sizes), "straight Keras": StraightEncoder(capacities, **sizes)}
    builds = {
        name: tf_keras.Sequential([encoder, mlp([hidden], dimension, "head")]) for name, encoder in builds.items()
    }
    for build in builds.values():
        build(slots)
    # Biases start at zero, where a mistake with them would not show.
    for weight in (weight for weight in builds["tfsage"].weights if weight.shape.rank == 1):
        weight.assign_add(0.1 * tf.constant(rng.standard_normal(weight.shape), tf.float32))
    copy_weights(builds["tfsage"], builds["straight Keras"])

    forward = {name: tf.function(lambda build=build: build(slots)) for name, build in builds.items()}
    both = {name: tf.function(lambda build=build: _gradients(build, slots, upstream)) for name, build in builds.items()}
    error = max(_difference(forward), _difference(both))
    if not error < TOLERANCE:
        raise SystemExit(f"the builds differ by {error:.1e}, more than {TOLERANCE}")

    forward, both = interleave(forward, rounds), interleave(both, rounds)
    print(f"{rows} products, 20 + 12 slots; values and gradients agree to {error:.0e}")
    print(f"{'':>15} {'forward':>11} {'forward + backward':>20}")
    for name in builds:
        print(f"{name:>15} {forward[name] * 1e3:8.1f} ms {both[name] * 1e3:17.1f} ms")
    ratios = [seconds["straight Keras"] / seconds["tfsage"] for seconds in (both, forward)]
    result = {"name": "attention", "against": "linear maps + keras_nlp.layers.TransformerEncoder + head"}
    print(json.dumps({**result, "ratio": round(ratios[0], 2), "forward_ratio": round(ratios[1], 2), "rounds": rounds}))


def _gradients(build: tf_keras.Model, slots: dict[str, tf.Tensor], upstream: tf.Tensor) -> list[tf.Tensor]:
    inputs = list(slots.values())
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = build(slots)
    return tape.gradient(output, [*inputs, *build.trainable_weights], output_gradients=upstream)


def _difference(functions: dict[str, tf.types.experimental.PolymorphicFunction]) -> float:
    """The largest difference between the results of two functions, relative to each result's largest value or 1."""
    ours, theirs = (tf.nest.flatten(function()) for function in functions.values())
    pairs = [(a.numpy().ravel(), b.numpy().ravel()) for a, b in zip(ours, theirs, strict=True)]
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1.0)) for a, b in pairs)


if __name__ == "__main__":
    typer.run(main)
