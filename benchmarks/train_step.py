"""A whole training step of ItemSage: text, images, transformer, L_pos + L_neg, and the update of every table.

    python -m benchmarks.train_step [--smoke] [--no-curve]

Ours is the tower, the loss and the optimizers of `tfsage train`. The straight build (benchmarks/straight.py) gathers
every token, runs keras_nlp.layers.TransformerEncoder on the whole sequence and updates everything with Keras Adam.
Both start from the same weights and get the same batches. That they are the same function is shown by the curve: with
the same optimizer (that of `tfsage train`), their losses differ by less than 1e-3 at each of 50 steps.

The curve is taken with GELU in place of ReLU in both. The kinks of ReLU make training chaotic: of the pre-activations
of a step, some are so near zero that rounding decides which side they fall on, and from then on any two float32 runs
part, also one build and itself begun 1e-7 away.
"""

import json
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import tensorflow as tf
import tf_keras
import typer

from benchmarks.straight import StraightProductTower, straight_loss, straight_twin
from benchmarks.timing import interleave
from tfsage.config import HashEmbeddingConfig, ImageConfig, ItemSageTowerConfig, LossConfig
from tfsage.losses import IN_BATCH, RANDOM, Candidates, QueryRows, SampledSoftmaxTask
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.towers.product import ItemSageTower
from tfsage.training.optimizers import CompositeOptimizer, RowWiseAdagrad
from tfsage.training.schedule import WarmupCosine

FULL = ItemSageTowerConfig(kind="itemsage")
SMALL = ItemSageTowerConfig(
    kind="itemsage",
    images=ImageConfig(slots=20, dimension=32),
    hash_embedding=HashEmbeddingConfig(buckets=500, dimension=32),
    width=64,
    feed_forward=128,
    head_hidden=64,
    dimension=32,
)
VOCABULARY, SMALL_VOCABULARY = 1_264_000, 5_000
TOKENS_PER_PRODUCT = 700
FIELD_SHARES = np.array([12, 50, 2, 8, 6, 8, 3, 3, 3, 2, 2, 1]) / 100
"""How a product's tokens spread over its fields: most are the description's and the title's."""
ZIPF_EXPONENT = 1.2
"""Tokens then repeat about as they do in titles of a real catalog: 80,000 tokens hold some 14,000 distinct ones."""

CURVE_STEPS, CURVE_PAIRS = 50, 64
TOLERANCE = 1e-3


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    pairs: Annotated[int, typer.Option(help="Pairs in a batch; as many random negatives are added.")] = 512,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 7,
    curve: Annotated[bool, typer.Option(help="Also compare the losses of 50 steps with the same optimizer.")] = True,
) -> None:
    """Prints seconds per step and, as the last line, one JSON object."""
    config, vocabulary, curve_pairs = (SMALL, SMALL_VOCABULARY, 8) if smoke else (FULL, VOCABULARY, CURVE_PAIRS)
    if smoke:
        pairs, rounds = 16, 2
    result = {"name": "train_step", "against": "straight Keras build"}
    if curve:
        difference = largest_difference(*loss_curves(config, vocabulary, curve_pairs, CURVE_STEPS))
        print(f"losses of {CURVE_STEPS} steps with {curve_pairs} pairs, same optimizer: differ by {difference:.1e}")
        if not difference < TOLERANCE:
            raise SystemExit(f"the builds differ by {difference:.1e} in a loss, more than {TOLERANCE}")
        result["curve_difference"] = difference
    batch = tf.nest.map_structure(tf.constant, make_batch(config, vocabulary, pairs))
    tower = product_tower(config, vocabulary)
    steps = {
        "straight Keras": straight_step(straight_twin(tower), keras_adam),
        "tfsage": our_step(tower, our_optimizer),
    }
    losses = {name: [] for name in steps}

    def run(name: str):
        losses[name].append(float(steps[name](batch)))

    seconds = interleave({name: lambda name=name: run(name) for name in steps}, rounds)
    if not all(np.isfinite(values).all() and values[-1] < values[0] for values in losses.values()):
        raise SystemExit(f"a build does not learn: {losses}")
    print(describe(batch))
    for name, value in seconds.items():
        print(f"{name:>15} {value * 1e3:8.0f} ms a step")
    ratio = seconds["straight Keras"] / seconds["tfsage"]
    print(json.dumps({**result, "ratio": round(ratio, 2), "rounds": rounds}))


def loss_curves(config: ItemSageTowerConfig, vocabulary: int, pairs: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The loss of every step, ours and the straight build's, from the same weights with the same optimizer: [steps]."""
    tower = product_tower(config, vocabulary)
    tower.encoder.blocks[0].inner.activation = tower.head.layers[0].activation = tf.nn.gelu
    builds = straight_step(straight_twin(tower), our_optimizer), our_step(tower, our_optimizer)
    batches = (make_batch(config, vocabulary, pairs, seed) for seed in range(steps))
    straight, ours = np.array([[float(step(batch)) for step in builds] for batch in batches]).T
    return ours, straight


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of two curves at any step, absolute or relative, whichever is larger; not finite: inf."""
    difference = np.abs(ours - theirs)
    return float(np.nan_to_num(np.maximum(difference, difference / np.abs(theirs)), nan=np.inf).max())


def make_batch(config: ItemSageTowerConfig, vocabulary: int, pairs: int, seed: int = 1) -> dict:
    """One batch as NumPy arrays: tokens by Zipf's law, full image slots, frozen queries that the images tell of.

    A quarter of the pairs share their query with another one, and of the other products some occur several times, so
    that every mask of the loss has something to hide.
    """
    rng = np.random.default_rng(seed)
    rows, slots = 2 * pairs, config.images.slots
    lengths = rng.multinomial(TOKENS_PER_PRODUCT, FIELD_SHARES, size=rows).astype(np.int32)
    frequency = np.arange(1, vocabulary + 1) ** -ZIPF_EXPONENT
    tokens = np.searchsorted(np.cumsum(frequency / frequency.sum()), rng.random(lengths.sum()))
    images = _unit(rng.standard_normal((rows * slots, config.images.dimension), np.float32))
    queries = images[: pairs * slots].reshape(pairs, slots, -1).mean(1) @ _query_map(config)
    candidate_ids, query_ids, twice = rng.integers(10 * pairs, size=rows), np.arange(pairs), pairs // 4
    candidate_ids[:twice], query_ids[:twice] = 10 * pairs + np.arange(twice), query_ids[:twice] // 2
    log_q = np.concatenate([rng.normal(-10.0, 1.0, pairs), np.full(pairs, -12.0)])
    return {
        "features": {
            "token_ids": np.minimum(tokens, vocabulary - 1).astype(np.int32),
            "token_lengths": lengths,
            "images": images,
            "image_lengths": np.full(rows, slots, np.int32),
        },
        "queries": _unit(queries),
        "query_ids": query_ids,
        "candidate_ids": candidate_ids,
        "log_q": log_q.astype(np.float32),
    }


def describe(batch: dict) -> str:
    rows, tokens = len(batch["candidate_ids"]), len(batch["features"]["token_ids"])
    images = len(batch["features"]["images"])
    pairs = len(batch["queries"])
    return (
        f"{pairs} pairs and {rows - pairs} random negatives, {tokens / rows:.0f} tokens and {images / rows:.0f} "
        f"images a product"
    )


def product_tower(config: ItemSageTowerConfig, vocabulary: int) -> ItemSageTower:
    tf_keras.utils.set_random_seed(1)
    return ItemSageTower(config, None, HashEmbedding(vocabulary, config.hash_embedding))


OptimizerFactory = Callable[[Sequence[tf.Variable]], tf_keras.optimizers.Optimizer]
"""From the variables that are hash tables to the optimizer of all variables."""


def our_optimizer(tables: Sequence[tf.Variable]) -> CompositeOptimizer:
    """What `tfsage train` takes for 1,000 steps when the config does not say otherwise."""
    own = {id(table) for table in tables}
    groups = [
        (RowWiseAdagrad(WarmupCosine(0.05, 100, 1000, 0.1)), lambda variable: id(variable) in own),
        (tf_keras.optimizers.Adam(WarmupCosine(1e-3, 100, 1000, 0.1)), lambda variable: True),
    ]
    return CompositeOptimizer(groups, clip_norm=1.0)


def keras_adam(_: Sequence[tf.Variable]) -> tf_keras.optimizers.Adam:
    """What one takes without a second thought."""
    return tf_keras.optimizers.Adam(1e-3)


def our_step(tower: ItemSageTower, optimizer: OptimizerFactory) -> Callable[[dict], tf.Tensor]:
    """A training step of tfsage that changes the tower: from a batch to its loss."""
    task = SampledSoftmaxTask(LossConfig())

    def loss_of(batch):
        pairs = tf.size(batch["query_ids"])
        negatives = tf.size(batch["candidate_ids"]) - pairs
        candidates = Candidates(
            embedding=tower(batch["features"], training=True),
            id=batch["candidate_ids"],
            query_id=tf.concat([batch["query_ids"], tf.fill([negatives], tf.constant(-1, tf.int64))], 0),
            source=tf.concat([tf.fill([pairs], IN_BATCH), tf.fill([negatives], RANDOM)], 0),
            log_q=batch["log_q"],
            weight=tf.ones([pairs + negatives]),
        )
        rows = QueryRows(batch["queries"], batch["query_ids"], tf.range(pairs), tf.ones([pairs]))
        return task.total(rows, candidates).total / tf.cast(pairs, tf.float32)

    return _step(loss_of, lambda: [tower, task], optimizer(tower.hash_embedding.trainable_variables))


def straight_step(twin: StraightProductTower, optimizer: OptimizerFactory) -> Callable[[dict], tf.Tensor]:
    """A training step of the straight build that changes it: from a batch to its loss."""
    twin.log_scale = tf.Variable(-np.log(np.float32(LossConfig().temperature)))

    def loss_of(batch):
        embeddings = twin(batch["features"], training=True)
        ids = batch["query_ids"], batch["candidate_ids"]
        return straight_loss(batch["queries"], embeddings, *ids, batch["log_q"], tf.exp(twin.log_scale))

    return _step(loss_of, lambda: [twin], optimizer([twin.table, twin.importance]))


def _step(loss_of: Callable[[dict], tf.Tensor], parts: Callable[[], list], optimizer) -> Callable[[dict], tf.Tensor]:
    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            loss = loss_of(batch)
        variables = [variable for part in parts() for variable in part.trainable_variables]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def _query_map(config: ItemSageTowerConfig) -> np.ndarray:
    """The linear map from images to queries, the same in every batch."""
    return np.random.default_rng(0).standard_normal((config.images.dimension, config.dimension), np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    typer.run(main)
