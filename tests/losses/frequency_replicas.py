"""Frequencies under a distribution strategy: one process of the tests in test_frequency_replicas.

    python -m tests.losses.frequency_replicas RESTORE OUT [REPLICAS]

counts one fixed stream of batches, of which every replica holds a part (some none), on that many logical devices, or
as one of the workers of TF_CONFIG. Every replica's copy of every variable goes to OUT/whole.npz, a checkpoint of half
way to OUT/half; then the second half is counted again from the checkpoint RESTORE: OUT/resumed.npz.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.losses.streams import zipf_ids
from tfsage.losses.frequency import (
    ConditionalFrequency,
    CountMinSketch,
    Decay,
    ExactFrequency,
    GapEstimator,
    Windows,
)

ITEMS, STEPS = 60, 12


def estimators() -> dict[str, tf.Module]:
    return {
        "exact": ExactFrequency(ITEMS, Decay(0.7, 3)),
        "plain": CountMinSketch(20, 3, False, Decay(0.5, 4)),
        "sketch": CountMinSketch(20, 3, True, Windows(2, 4)),
        "gap": GapEstimator(20, 2, rate=0.1, initial_gap=4.0),
        "conditional": ConditionalFrequency(30, 2, aging=Windows(3, 3)),
    }


def batch(step: int) -> np.ndarray:
    """Pairs of the global batch of a step, int64 [n, 2]: queries and ids; n differs."""
    size = 20 + 7 * step % 11
    return np.stack([zipf_ids(size, 9, seed=step), zipf_ids(size, ITEMS, seed=100 + step)], axis=1)


def cuts(step: int, rows: int, replicas: int) -> np.ndarray:
    """Where the part of each replica begins and ends, int64 [replicas + 1]; one of several is empty."""
    if replicas == 1:
        return np.array([0, rows])
    inner = np.sort(np.random.default_rng(step).integers(0, rows, replicas - 2))
    places = np.concatenate([[0], inner, [rows]])
    return np.insert(places, step % replicas, places[step % replicas])


class Counting:
    """Estimators of all kinds that count the stream under a strategy."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        with strategy.scope():
            self._estimators = estimators()
        self.checkpoint = tf.train.Checkpoint(**self._estimators)

    def run(self, steps: range) -> dict[str, list[np.ndarray]]:
        """Counts some steps; returns what every replica of this process says of the ids after the last of them."""
        for step in steps:
            pairs = batch(step)
            places = cuts(step, len(pairs), self._strategy.num_replicas_in_sync)
            answers = self._step(tf.constant(pairs), tf.constant(places, tf.int64))
        return {name: copies(self._strategy, answer) for name, answer in answers.items()}

    def state(self) -> dict[str, list[np.ndarray]]:
        """All variables of all estimators, copy by copy."""
        return {
            f"{name} {place}": copies(self._strategy, variable)
            for name, estimator in self._estimators.items()
            for place, variable in enumerate(estimator.variables)
        }

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.int64), tf.TensorSpec([None], tf.int64)])
    def _step(self, pairs, places):
        return self._strategy.run(self._update, args=(pairs, places))

    def _update(self, pairs, places):
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group
        gathered = context.all_gather(pairs[places[replica] : places[replica + 1]], axis=0)
        answers = {}
        for name, estimator in self._estimators.items():
            ids = (gathered[:, 0], gathered[:, 1]) if name == "conditional" else (gathered[:, 1],)
            estimator.update(*ids)
            answers[name] = estimator.log_q(*ids)
        return answers


def copies(strategy: tf.distribute.Strategy, value) -> list[np.ndarray]:
    """What each replica of this process holds of a variable or result."""
    return [copy.numpy() for copy in strategy.experimental_local_results(value)]


def count_without_gathering(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """What must not be done: every replica counts its own part."""
    with strategy.scope():
        frequency = ExactFrequency(ITEMS)

    def update():
        frequency.update(tf.fill([2], tf.distribute.get_replica_context().replica_id_in_sync_group))

    tf.function(lambda: strategy.run(update))()
    return copies(strategy, frequency.variables[0])


def main(restore: str, out: str, replicas: str | None = None) -> None:
    out = Path(out)
    if replicas is None:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        device = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * int(replicas))
        strategy = tf.distribute.MirroredStrategy([f"CPU:{place}" for place in range(int(replicas))])
    counting = Counting(strategy)
    counting.run(range(STEPS // 2))
    counting.checkpoint.write(str(out / "half"))
    np.savez(out / "log_q.npz", **counting.run(range(STEPS // 2, STEPS)))
    np.savez(out / "whole.npz", **counting.state())
    counting.checkpoint.read(restore).assert_consumed()
    counting.run(range(STEPS // 2, STEPS))
    np.savez(out / "resumed.npz", **counting.state())
    np.savez(out / "ungathered.npz", cells=count_without_gathering(strategy))


if __name__ == "__main__":
    main(*sys.argv[1:])
