"""What happens beside the training step: a guard against NaN, history, a progress line."""

import json
from pathlib import Path

import tensorflow as tf
import tf_keras

from tfsage.console import console, progress
from tfsage.data.batches import TrainingBatches
from tfsage.errors import TfsageError
from tfsage.training.checkpoints import Checkpoints
from tfsage.training.throughput import CLOCKS, Throughput


class NonFiniteGuard(tf_keras.callbacks.Callback):
    """Stops the run at the first NaN or infinity in the loss or a gradient, before a checkpoint could keep it."""

    def __init__(self, batches: TrainingBatches, checkpoints: Checkpoints):
        super().__init__()
        self._batches, self._checkpoints = batches, checkpoints

    def on_train_batch_end(self, batch, logs=None):
        if logs["finite"] == 1.0:
            return
        step = int(self.model.optimizer.iterations.numpy()) - 1
        pairs = self._batches(step)["pairs"]
        ids = {pool: part["candidate_id"][:20].tolist() for pool, part in pairs.items()}
        raise TfsageError(
            f"step {step}: the loss or a gradient is NaN or infinite. Products of that batch (rows of the catalog, "
            f"the first 20): {ids}. Last good checkpoint: {self._checkpoints.latest or 'none yet'}. "
            "Lower the learning rate or raise the temperature floor, and look at the features of these products."
        )


class History(tf_keras.callbacks.Callback):
    """One line of history.jsonl and one set of TensorBoard scalars per epoch: losses, temperatures, throughput.

    Attributes:
        writer: of the run's TensorBoard files.
    """

    def __init__(self, run: Path, first_step: int, throughput: Throughput):
        super().__init__()
        self._throughput = throughput
        self._path = run / "history.jsonl"
        self.writer = tf.summary.create_file_writer(str(run / "tensorboard"))
        lines = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= first_step]
        self._path.write_text("".join(kept))

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        entry = {**_grouped(logs), "throughput": self._throughput.of_epoch()}
        if mined := self.model.batches.hard_negatives:
            entry["hard_negatives"] = mined.summary
        with self._path.open("a") as lines:
            lines.write(json.dumps({"step": step, **entry}) + "\n")
        with self.writer.as_default():
            for group, values in entry.items():
                for name, value in values.items():
                    tf.summary.scalar(f"{group}/{name}", value, step=step)
        self.writer.flush()


class ProgressLine(tf_keras.callbacks.Callback):
    """One line that moves: steps, remaining time, pairs a second, losses, temperatures, negatives."""

    def __init__(self, total: int, done: int, throughput: Throughput):
        super().__init__()
        self._bar, self._throughput, self._total = progress(), throughput, total
        self._task = self._bar.add_task("Training", total=total, completed=done, note="")

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update(self._task, advance=1, note=_describe(logs, self._throughput.of_epoch()))

    def on_epoch_end(self, epoch, logs=None):
        if not console.is_terminal:
            step = int(self.model.optimizer.iterations.numpy())
            console.print(f"step {step} of {self._total} · {_describe(logs, self._throughput.of_epoch())}")


def _grouped(logs: dict) -> dict[str, dict[str, float]]:
    """The logs of a step: loss (of all tasks together and of each), temperature of each pool, and of the negatives."""
    groups = {"loss": {}, "temperature": {}, "negatives": {}}
    for name, value in logs.items():
        if name.startswith("temperature_"):
            groups["temperature"][name.removeprefix("temperature_")] = float(value)
        elif name in ("negatives", "uncertainty"):
            groups["negatives"]["per_pair" if name == "negatives" else name] = float(value)
        elif name not in ("finite", *CLOCKS):
            groups["loss"]["all" if name == "loss" else name] = float(value)
    return groups


def _describe(logs: dict, rates: dict) -> str:
    """What matters first, since a narrow terminal cuts the end off."""
    groups = _grouped(logs)
    rate = [f"{rates['pairs_per_second']:,.0f} pairs/s"] if rates else []
    temperatures = [f"τ {value:.3f}" for value in groups["temperature"].values()]
    negatives = f"{groups['negatives']['per_pair']:.0f} negatives a pair"
    tasks = ", ".join(f"{name} {value:.2f}" for name, value in groups["loss"].items() if name != "all")
    return " · ".join([*rate, f"loss {groups['loss']['all']:.3f}", *temperatures, negatives, tasks])
