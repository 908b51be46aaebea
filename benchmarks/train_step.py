"""A whole training step of ItemSage: text, images, transformer, L_pos + L_neg, and the update of every table.

    python -m benchmarks.train_step [--smoke]

Ours is what `tfsage train` runs. The straight build (benchmarks/straight.py) gathers every token, runs
keras_nlp.layers.TransformerEncoder on the whole sequence and updates everything with Keras Adam. Both get the same
batches, the same frozen queries and the same loss.
"""

import json
from typing import Annotated

import numpy as np
import tensorflow as tf
import tf_keras
import typer

from benchmarks.straight import StraightProductTower
from benchmarks.timing import interleave
from tfsage.config import HashEmbeddingConfig, ItemSageTowerConfig, LossConfig
from tfsage.losses import IN_BATCH, RANDOM, Candidates, SampledSoftmaxTask
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.towers.product import ItemSageTower
from tfsage.training.optimizers import CompositeOptimizer, RowWiseAdagrad

TOKENS_PER_PRODUCT, SLOTS = 700, 20
ZIPF_EXPONENT = 1.2
"""Tokens then repeat about as they do in titles of a real catalog: 80,000 tokens hold some 14,000 distinct ones."""


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    pairs: Annotated[int, typer.Option(help="Pairs in a batch; as many random negatives are added.")] = 512,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 5,
) -> None:
    """Prints seconds per step and, as the last line, one JSON object."""
    vocabulary, buckets = (20_000, 2_000) if smoke else (1_264_000, 100_000)
    if smoke:
        pairs, rounds = 16, 2
    batch = _batch(pairs, vocabulary)
    steps = {"tfsage": _ours(vocabulary, buckets), "straight Keras": _straight(vocabulary, buckets)}
    losses = {name: [] for name in steps}

    def run(name: str):
        losses[name].append(float(steps[name](batch)))

    seconds = interleave({name: lambda name=name: run(name) for name in steps}, rounds)
    if not all(np.isfinite(values).all() and values[-1] < values[0] for values in losses.values()):
        raise SystemExit(f"a build does not learn: {losses}")
    tokens = len(batch["features"]["token_ids"])
    print(f"{pairs} pairs and {pairs} random negatives, {tokens / (2 * pairs):.0f} tokens and {SLOTS} images a product")
    for name, value in seconds.items():
        print(f"{name:>15} {value * 1e3:8.0f} ms a step")
    ratio = seconds["straight Keras"] / seconds["tfsage"]
    result = {"name": "train_step", "against": "straight Keras build", "ratio": round(ratio, 2), "rounds": rounds}
    print(json.dumps(result))


def _batch(pairs: int, vocabulary: int) -> dict:
    """One batch with tokens by Zipf's law and full image slots, as prepared features."""
    rng = np.random.default_rng(1)
    rows = 2 * pairs
    lengths = rng.multinomial(TOKENS_PER_PRODUCT, _field_shares(), size=rows).astype(np.int32)
    frequency = np.arange(1, vocabulary + 1) ** -ZIPF_EXPONENT
    tokens = np.searchsorted(np.cumsum(frequency / frequency.sum()), rng.random(lengths.sum())).astype(np.int32)
    tokens = np.minimum(tokens, vocabulary - 1)
    images = rng.standard_normal((rows * SLOTS, 256)).astype(np.float32)
    queries = rng.standard_normal((pairs, 256)).astype(np.float32)
    features = {
        "token_ids": tokens,
        "token_lengths": lengths,
        "images": images / np.linalg.norm(images, axis=1, keepdims=True),
        "image_lengths": np.full(rows, SLOTS, np.int32),
    }
    return tf.nest.map_structure(
        tf.constant,
        {"features": features, "queries": queries / np.linalg.norm(queries, axis=1, keepdims=True)},
    )


def _field_shares() -> np.ndarray:
    """How a product's tokens spread over its fields: most are the description's and the title's."""
    shares = np.array([12, 50, 2, 8, 6, 8, 3, 3, 3, 2, 2, 1], float)
    return shares / shares.sum()


def _ours(vocabulary: int, buckets: int):
    config = ItemSageTowerConfig(kind="itemsage", hash_embedding=HashEmbeddingConfig(buckets=buckets))
    tower = ItemSageTower(config, None, HashEmbedding(vocabulary, config.hash_embedding))
    groups = [
        (RowWiseAdagrad(0.05), lambda variable: "hash_embedding" in variable.name),
        (tf_keras.optimizers.Adam(1e-3), lambda variable: True),
    ]
    return _step(tower, CompositeOptimizer(groups))


def _straight(vocabulary: int, buckets: int):
    chosen = np.random.default_rng(2).integers(0, buckets, (vocabulary, 2)).astype(np.int32)
    return _step(StraightProductTower(chosen, buckets), tf_keras.optimizers.Adam(1e-3))


def _step(tower, optimizer):
    task = SampledSoftmaxTask(LossConfig())

    @tf.function
    def step(batch):
        pairs = tf.shape(batch["queries"])[0]
        with tf.GradientTape() as tape:
            embeddings = tower(batch["features"], training=True)
            half = tf.ones([pairs], tf.int32)
            ids = tf.range(2 * tf.cast(pairs, tf.int64))
            candidates = Candidates(
                embeddings,
                ids,
                ids,
                tf.concat([half * IN_BATCH, half * RANDOM], 0),
                tf.fill([2 * pairs], -10.0),
                tf.ones([2 * pairs]),
            )
            loss = task(batch["queries"], ids[:pairs], candidates, tf.ones([pairs]))
        variables = tower.trainable_variables + task.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


if __name__ == "__main__":
    typer.run(main)
