"""The hash embedding alone: every text field of a batch to its vector, the gradient back, the update of both tables.

    python -m benchmarks.hash_bag [--smoke]

Ours is the layer and the optimizer of `tfsage train`. The straight build gathers the rows of every token, multiplies
and sums them, and updates both tables with Keras Adam. Both get the same batch and the same gradient from above.

No program can do this faster than memory moves the rows it must touch. That floor is measured in the same run: the
bytes are counted, and divided by the bandwidth that adding one array to another reaches on all cores.
"""

import json
from collections.abc import Callable
from typing import Annotated

import numpy as np
import tensorflow as tf
import tf_keras
import typer

from benchmarks.timing import interleave
from benchmarks.train_step import FIELD_SHARES, TOKENS_PER_PRODUCT, VOCABULARY, ZIPF_EXPONENT
from tfsage.config import HashEmbeddingConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.training.optimizers import RowWiseAdagrad

FLOAT, ID = 4, 4
"""Bytes."""


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    products: Annotated[int, typer.Option(help="Products in a batch, of 12 fields each.")] = 1024,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 7,
) -> None:
    """Prints milliseconds per step, the floor, and, as the last line, one JSON object."""
    vocabulary, buckets, floats = (20_000, 2_000, 10**6) if smoke else (VOCABULARY, 100_000, 64 * 10**6)
    if smoke:
        products, rounds = 16, 2
    batch = make_batch(products, vocabulary)
    layer = HashEmbedding(vocabulary, HashEmbeddingConfig(buckets=buckets))
    sum_arrays = add_in_place(floats)
    steps = {
        "gather every token": straight_step(vocabulary, buckets, layer.dimension),
        "tfsage": our_step(layer),
        "  forward": lambda *given: forward(layer, *given),
    }
    losses = {name: [] for name in steps}

    def run(name: str):
        losses[name].append(float(steps[name](*batch)))

    timed = {name: lambda name=name: run(name) for name in steps}
    seconds = interleave({**timed, "bandwidth": lambda: sum_arrays().numpy()}, rounds)
    for name in ("gather every token", "tfsage"):
        if not (np.isfinite(losses[name]).all() and losses[name][-1] < losses[name][0]):
            raise SystemExit(f"{name} does not learn: {losses[name]}")
    bandwidth = 3 * FLOAT * floats / seconds["bandwidth"]
    counted = bytes_to_move(layer, *batch)
    floor = sum(counted.values()) / bandwidth
    tokens, distinct = len(batch[0]), len(np.unique(batch[0]))
    print(f"{products} products of {len(FIELD_SHARES)} fields, {tokens} tokens, {distinct} distinct")
    for name in steps:
        print(f"{name:>20} {seconds[name] * 1e3:8.1f} ms")
    print(f"{'bandwidth':>20} {bandwidth / 1e9:8.1f} GB/s")
    print(f"{'floor':>20} {floor * 1e3:8.1f} ms for " + ", ".join(f"{k} {v / 1e6:.0f} MB" for k, v in counted.items()))
    print(f"{'above the floor':>20} {seconds['tfsage'] / floor:8.1f} times")
    result = {
        "name": "hash_bag",
        "against": "gather of every token with Keras Adam",
        "ratio": round(seconds["gather every token"] / seconds["tfsage"], 2),
        "rounds": rounds,
        "times_the_floor": round(seconds["tfsage"] / floor, 1),
    }
    print(json.dumps(result))


def make_batch(products: int, vocabulary: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Tokens by Zipf's law, int32 [tokens]; lengths, int32 [products, 12]; a gradient, float32 [products, 12, 256]."""
    rng = np.random.default_rng(1)
    lengths = rng.multinomial(TOKENS_PER_PRODUCT, FIELD_SHARES, size=products).astype(np.int32)
    frequency = np.arange(1, vocabulary + 1) ** -ZIPF_EXPONENT
    tokens = np.searchsorted(np.cumsum(frequency / frequency.sum()), rng.random(lengths.sum()))
    gradient = rng.standard_normal((*lengths.shape, HashEmbeddingConfig().dimension), np.float32)
    return tf.constant(np.minimum(tokens, vocabulary - 1), tf.int32), tf.constant(lengths), tf.constant(gradient)


def our_step(layer: HashEmbedding) -> Callable:
    return _step(layer, layer.trainable_variables, RowWiseAdagrad(0.05))


def straight_step(vocabulary: int, buckets: int, dimension: int) -> Callable:
    """What one writes first; the buckets of each token are stored."""
    rng = np.random.default_rng(2)
    chosen = tf.constant(rng.integers(0, buckets, (vocabulary, 2)).astype(np.int32))
    table = tf.Variable(tf.random.stateless_normal([buckets, dimension], [1, 2]) * (2 * dimension) ** -0.5)
    importance = tf.Variable(tf.random.stateless_normal([vocabulary, 2], [3, 4]))

    def embed(token_ids, lengths):
        rows = tf.gather(table, tf.gather(chosen, token_ids))
        tokens = tf.reduce_sum(rows * tf.gather(importance, token_ids)[:, :, None], axis=1)
        bags = tf.reshape(lengths, [-1])
        owner = tf.repeat(tf.range(tf.size(bags)), bags)
        sums = tf.math.unsorted_segment_sum(tokens, owner, tf.size(bags))
        return tf.reshape(sums, [*lengths.shape, dimension])

    return _step(embed, [table, importance], tf_keras.optimizers.Adam(1e-3))


def _step(embed: Callable, variables: list[tf.Variable], optimizer) -> Callable:
    optimizer.build(variables)

    @tf.function
    def step(token_ids, lengths, gradient):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(embed(token_ids, lengths) * gradient)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


@tf.function
def forward(layer: HashEmbedding, token_ids: tf.Tensor, lengths: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(layer(token_ids, lengths) * gradient)


def add_in_place(floats: int) -> Callable:
    """Adds one array to another that stays where it is: reads two and writes one, on all cores."""
    total, other = tf.Variable(tf.ones([floats])), tf.ones([floats])

    @tf.function
    def add():
        total.assign_add(other)
        return total[0]

    return add


def bytes_to_move(layer: HashEmbedding, token_ids: tf.Tensor, lengths: tf.Tensor, gradient: tf.Tensor) -> dict:
    """Bytes that each part reads and writes, if each is moved once: distinct rows, not tokens."""
    tokens = np.unique(token_ids)
    buckets = len(np.unique(layer.buckets_of(tf.constant(tokens))))
    bags = gradient.shape.num_elements() * FLOAT
    rows = (buckets * layer.dimension + len(tokens) * 2) * FLOAT
    slots = (buckets + len(tokens)) * FLOAT
    return {
        "forward": (len(token_ids) + lengths.shape.num_elements()) * ID + rows + bags,
        "backward": bags + rows + rows,  # the gradient from above, the rows again, and the gradient of each
        "update": rows + 2 * (rows + slots),  # the gradient; rows and slots are read and written
    }


if __name__ == "__main__":
    typer.run(main)
