"""A small two-tower world for tests of the training step, of any dtype, run as a program with a number of replicas.

python -m tests.training.toy_engine REPLICAS OUT.npz
"""

import functools
import sys

import numpy as np
import tensorflow as tf
import tf_keras

from tfsage.config import LossConfig
from tfsage.losses import IN_BATCH, RANDOM, Candidates, HardNegatives, QueryRows, SampledSoftmaxTask
from tfsage.training import replicas
from tfsage.training.step import gradients_of

PAIRS, NEGATIVES, TOKENS = 8, 6, 40
FORMS = {
    "paper": {},
    "in_batch": {"negatives": "in_batch", "label_smoothing": 0.1},
    "refined": {"duplicates": "mask", "positive_correction": "none", "temperature_floor": 0.05},
    "mixed": {"negatives": "mixed", "prefixes": {4: 0.5}},
    "dedup": {"duplicates": "dedup", "hardest": 4},
}
SPLITS = {
    1: {"whole": [8]},
    2: {"even": [4, 4], "uneven": [5, 3], "empty": [8, 0]},
    4: {"even": [2, 2, 2, 2], "uneven": [3, 0, 4, 1]},
}
"""Pairs of each replica."""


class World:
    """Two towers over one table of token vectors, and a batch with duplicates of every kind."""

    def __init__(self, form: str, dtype: str):
        rng = np.random.default_rng(7)
        self.table = tf.Variable(rng.normal(size=(TOKENS, 6)), dtype=dtype, name="table")
        self.maps = {
            side: tf.Variable(rng.normal(size=(6, 8)), dtype=dtype, name=side) for side in ("query", "product")
        }
        self.idle = tf.Variable(tf.ones([2], dtype), name="idle")
        # The temperature takes the default precision of Keras.
        tf_keras.backend.set_floatx(dtype)
        tf_keras.backend.set_floatx(dtype)
        self.task = SampledSoftmaxTask(LossConfig(temperature=0.3, **FORMS[form]))
        tf_keras.backend.set_floatx("float32")
        tf_keras.backend.set_floatx("float32")
        self.dtype = tf.as_dtype(dtype)
        self.lengths = {
            "query": rng.integers(0, 4, (PAIRS, 1)),
            "positive": rng.integers(0, 5, (PAIRS, 2)),
            "negative": rng.integers(0, 5, (NEGATIVES, 2)),
            "hard": rng.integers(1, 3, (5, 2)),
        }
        self.tokens = {name: rng.integers(0, TOKENS, lengths.sum()) for name, lengths in self.lengths.items()}
        self.query_id = np.array([1, 1, 2, 3, 4, 5, 2, 6])
        self.product = np.array([7, 8, 7, 9, 9, 10, 11, 12])
        self.negative = np.array([7, 20, 21, 20, 12, 23])
        self.weight = rng.uniform(0.0, 2.0, PAIRS)
        self.known = np.array([[0, 20], [3, 10], [7, 21]])
        self.hard_row = np.array([0, 2, 2, 5, 7])

    @property
    def variables(self):
        return [self.table, *self.maps.values(), self.idle, *self.task.trainable_variables]

    def part(self, first: int, last: int, first_negative: int, last_negative: int) -> dict:
        """The batch of one replica."""
        known = self.known[(self.known[:, 0] >= first) & (self.known[:, 0] < last)] - [[first, 0]]
        hard = np.flatnonzero((self.hard_row >= first) & (self.hard_row < last))
        candidates = [
            self._features("positive", np.arange(first, last)),
            self._features("negative", np.arange(first_negative, last_negative)),
            self._features("hard", hard),
        ]
        batch = {
            "query": self._features("query", np.arange(first, last)),
            "product": {name: np.concatenate([part[name] for part in candidates]) for name in candidates[0]},
            "query_id": self.query_id[first:last],
            "product_id": self.product[first:last],
            "negative_id": self.negative[first_negative:last_negative],
            "weight": self.weight[first:last],
            "known": known.reshape(-1, 2),
            "hard_row": (self.hard_row[hard] - first).astype(np.int32),
        }
        return tf.nest.map_structure(tf.constant, batch)

    def _features(self, name: str, rows: np.ndarray) -> dict:
        lengths = self.lengths[name]
        owner = np.repeat(np.arange(len(lengths)), lengths.sum(1))
        tokens = [self.tokens[name][owner == row] for row in rows]
        return {
            "token_ids": np.concatenate([*tokens, np.zeros(0)]).astype(np.int32),
            "token_lengths": lengths[rows].astype(np.int32),
        }

    def embed(self, side: str, features: dict) -> tf.Tensor:
        rows = tf.shape(features["token_lengths"])[0]
        owner = tf.repeat(tf.range(rows), tf.reduce_sum(features["token_lengths"], axis=1))
        vectors = tf.gather(self.table, features["token_ids"])
        bags = tf.math.unsorted_segment_sum(vectors, owner, rows)
        return tf.math.l2_normalize(tf.matmul(bags + 0.1, self.maps[side]), axis=-1)

    def loss_of(self, vectors: dict, batch: dict):
        pairs, negatives = tf.size(batch["query_id"]), tf.size(batch["negative_id"])
        positive, negative, hard = tf.split(vectors["product"], [pairs, negatives, tf.size(batch["hard_row"])])
        ids = replicas.gather(batch["product_id"])
        others = replicas.gather(batch["negative_id"])
        weight = replicas.gather(batch["weight"])
        pool = Candidates(
            embedding=tf.concat([replicas.gather(positive), replicas.gather(negative)], 0),
            id=tf.concat([ids, others], 0),
            query_id=tf.concat([replicas.gather(batch["query_id"]), tf.zeros_like(others)], 0),
            source=tf.concat([tf.fill(tf.shape(ids), IN_BATCH), tf.fill(tf.shape(others), RANDOM)], 0),
            log_q=-tf.math.log(
                tf.cast(tf.concat([ids, tf.fill(tf.shape(others), tf.constant(30, tf.int64))], 0), self.dtype)
            ),
            weight=tf.concat([weight, tf.ones(tf.shape(others), weight.dtype)], 0),
        )
        rows = QueryRows(
            embedding=vectors["query"],
            query_id=batch["query_id"],
            positive=replicas.first_row(pairs) + tf.range(pairs),
            weight=batch["weight"],
            known=batch["known"],
        )
        losses = self.task.total(rows, pool, HardNegatives(batch["hard_row"], hard), 0.7)
        return losses.total / replicas.total(tf.cast(tf.reduce_sum(batch["weight"]), losses.total.dtype)), losses

    def step(self, batch: dict, chunk_size: int | None) -> list[tf.Tensor]:
        """The replica's share of the loss and of every gradient, made dense."""
        loss, _, gradients = gradients_of(
            {side: lambda features, side=side: self.embed(side, features) for side in ("query", "product")},
            {side: batch[side] for side in ("query", "product")},
            lambda vectors: self.loss_of(vectors, batch),
            self.variables,
            chunk_size,
        )
        assert gradients[3] is None, "nothing depends on this variable"
        assert isinstance(gradients[0], tf.IndexedSlices), "the table's gradient is sparse"
        return [loss, *(tf.convert_to_tensor(g) for g in gradients if g is not None)]


def run(strategy: tf.distribute.Strategy, form: str, dtype: str, split: list[int], chunk_size: int | None) -> list:
    """Loss and gradients, summed over the replicas."""
    with strategy.scope():
        world = World(form, dtype)
    ends = np.cumsum([0, *split])
    negatives = ends * NEGATIVES // PAIRS
    parts = [world.part(*ends[r : r + 2], *negatives[r : r + 2]) for r in range(len(split))]

    if len(parts) == 1:
        shares = tf.function(world.step)(parts[0], chunk_size)
        return [share.numpy() for share in shares]
    flat = [tf.nest.flatten(part) for part in parts]
    values = [
        strategy.experimental_distribute_values_from_function(lambda c, i=i: flat[c.replica_id_in_sync_group][i])
        for i in range(len(flat[0]))
    ]

    @tf.function
    def distributed(*values):
        def replica(*own):
            return world.step(tf.nest.pack_sequence_as(parts[0], own), chunk_size)

        return [strategy.reduce("SUM", share, axis=None) for share in strategy.run(replica, args=values)]

    return [share.numpy() for share in distributed(*values)]


@functools.cache
def alone(dtype: str, form: str) -> list:
    """Loss and gradients of one device, whole; the same for all tests of a process."""
    return run(tf.distribute.get_strategy(), form, dtype, SPLITS[1]["whole"], None)


def cases(count: int) -> list[tuple[str, str, str, int | None]]:
    """dtype, form, split and chunk size: the paper's form on all splits; two replicas: all forms, chunks, float32."""
    found = [("float64", "paper", split, None) for split in SPLITS[count]]
    if count == 2:
        found += [("float64", form, "uneven", None) for form in FORMS if form != "paper"]
        found += [("float64", "paper", "uneven", 3), ("float32", "paper", "uneven", None)]
    return found


def main(count: int, out: str) -> None:
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    names = [f"CPU:{place}" for place in range(count)]
    strategy = tf.distribute.MirroredStrategy(names) if count > 1 else tf.distribute.get_strategy()
    found = {}
    for dtype, form, split, chunk_size in cases(count):
        for place, value in enumerate(run(strategy, form, dtype, SPLITS[count][split], chunk_size)):
            found[f"{dtype} {form} {split} {place} {chunk_size}"] = value
    np.savez(out, **found)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
