"""What happens beside the training step: checkpoints, a guard against NaN, history, a progress line."""

import json
import time
from pathlib import Path

import tensorflow as tf
import tf_keras

from tfsage.console import console, progress
from tfsage.data.batches import TrainingBatches
from tfsage.errors import TfsageError


class Checkpoints(tf_keras.callbacks.Callback):
    """Saves everything that training needs every `every` steps; the last three checkpoints are kept."""

    def __init__(self, folder: Path, model: tf_keras.Model, every: int):
        super().__init__()
        self._every = every
        self._iterations = model.optimizer.iterations
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=3)

    @property
    def latest(self) -> str | None:
        return self._manager.latest_checkpoint

    def restore(self) -> int:
        """Restores the last checkpoint, if there is one; returns the number of steps done.

        Raises:
            TfsageError: the checkpoint does not hold what this model needs.
        """
        if self.latest is None:
            return 0
        try:
            self._manager.checkpoint.restore(self.latest).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise TfsageError(
                f"{self.latest}: this checkpoint does not fit the model ({str(error).splitlines()[0]}); "
                "it was written by another version of the code: choose another --run folder"
            ) from None
        return int(self._iterations.numpy())

    def save(self) -> None:
        step = int(self._iterations.numpy())
        if self.latest is None or int(self.latest.rsplit("-", 1)[1]) != step:
            self._manager.save(checkpoint_number=step)

    def on_train_batch_end(self, batch, logs=None):
        if int(self._iterations.numpy()) % self._every == 0:
            self.save()


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
    """One line of history.jsonl and one set of TensorBoard scalars per epoch."""

    def __init__(self, run: Path, first_step: int):
        super().__init__()
        self._path = run / "history.jsonl"
        self._writer = tf.summary.create_file_writer(str(run / "tensorboard"))
        lines = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= first_step]
        self._path.write_text("".join(kept))

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()
        self._first = int(self.model.optimizer.iterations.numpy())

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        seconds = time.perf_counter() - self._start
        entry = {name: float(value) for name, value in logs.items() if name != "finite"}
        entry["steps_per_second"] = (step - self._first) / seconds
        with self._path.open("a") as lines:
            lines.write(json.dumps({"step": step, **entry}) + "\n")
        with self._writer.as_default():
            for name, value in entry.items():
                tf.summary.scalar(name, value, step=step)
        self._writer.flush()


class ProgressLine(tf_keras.callbacks.Callback):
    """One line that moves: steps, remaining time, pairs a second, loss, temperature."""

    def __init__(self, total: int, done: int, batch_size: int):
        super().__init__()
        self._bar, self._batch_size, self._total = progress(), batch_size, total
        self._task = self._bar.add_task("Training", total=total, completed=done, note="")

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def on_epoch_begin(self, epoch, logs=None):
        self._start, self._steps = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        rate = self._steps * self._batch_size / (time.perf_counter() - self._start)
        self._bar.update(self._task, advance=1, note=f"{rate:,.0f} pairs/s · {_describe(logs)}")

    def on_epoch_end(self, epoch, logs=None):
        if not console.is_terminal:
            step = int(self.model.optimizer.iterations.numpy())
            console.print(f"step {step} of {self._total} · {_describe(logs)}")


def _describe(logs: dict) -> str:
    return " · ".join(
        f"{name} {value:.3f}" for name, value in logs.items() if name == "loss" or name.startswith("temperature")
    )
