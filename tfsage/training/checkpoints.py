"""Checkpoints: everything that training needs to go on as if it had never stopped."""

import tempfile
from pathlib import Path

import tensorflow as tf
import tf_keras

from tfsage.errors import TfsageError
from tfsage.files import sync, write_text
from tfsage.training.cluster import Cluster
from tfsage.training.shared_folder import wait_for
from tfsage.training.strategy import value_of_chief

_KEPT = 3


class Checkpoints(tf_keras.callbacks.Callback):
    """Saves everything that training needs every `every` steps; the last three checkpoints are kept.

    A checkpoint is complete before the file named `checkpoint` says that it is the last, so a kill at any moment
    leaves a whole one. All workers take part in saving, since some values are spread over them; only the chief writes
    into the run folder, which all of them read.

    Args:
        folder: where the checkpoints lie.
        model: with its optimizer, built.
        every: steps from one checkpoint to the next.
        cluster: the workers that train this model.

    Attributes:
        layout: the numbers of replicas and of workers.
        layout_before: after `restore`, those that the checkpoint was written with.
    """

    def __init__(self, folder: Path, model: tf_keras.Model, every: int, cluster: Cluster | None = None):
        super().__init__()
        self._folder, self._every, self._cluster = folder, every, cluster or Cluster()
        self._strategy = model.distribute_strategy
        self._iterations = model.optimizer.iterations
        self._saved = 0
        self.layout = self.layout_before = (self._strategy.num_replicas_in_sync, self._cluster.size)
        self._layout = tf.Variable(self.layout, trainable=False)
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, layout=self._layout)

    @property
    def latest(self) -> str | None:
        return tf.train.latest_checkpoint(str(self._folder))

    def restore(self) -> int:
        """Restores the last checkpoint, if there is one; returns the number of steps done.

        Raises:
            TfsageError: the checkpoint does not hold what this model needs, or a worker does not see it.
        """
        step = value_of_chief(self._strategy, self._cluster, _step(self.latest) if self._cluster.is_chief else 0)
        if not step:
            return 0
        path = self._path(step)
        wait_for(Path(f"{path}.index"))
        try:
            self._checkpoint.read(path).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise TfsageError(
                f"{path}: this checkpoint does not fit the model ({str(error).splitlines()[0]}); "
                "it was written by another version of the code: choose another --run folder"
            ) from None
        self.layout_before = tuple(self._layout.numpy().tolist())
        self._layout.assign(self.layout)
        self._saved = step
        return step

    def save(self) -> None:
        """Saves the present state, unless that has been done; all workers call it at the same step."""
        step = int(self._iterations.numpy())
        if step == self._saved:
            return
        if self._cluster.is_chief:
            self._write(step)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                self._checkpoint.write(str(Path(scratch) / "ckpt"))
        self._saved = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self._iterations.numpy()) % self._every == 0:
            self.save()

    def _write(self, step: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = [path for path in self._whole() if _step(path) < step][1 - _KEPT :]
        path = self._checkpoint.write(self._path(step))
        for file in _files(path):
            sync(file)
        # TensorFlow's own list of checkpoints, which `tf.train.latest_checkpoint` reads; the last is named first.
        names = [Path(whole).name for whole in [*kept, path]]
        lines = [("model_checkpoint_path", names[-1]), *(("all_model_checkpoint_paths", name) for name in names)]
        write_text(self._folder / "checkpoint", "".join(f'{key}: "{name}"\n' for key, name in lines))
        sync(self._folder)
        for file in self._folder.glob("ckpt-*"):
            if file.is_file() and file.name.split(".")[0] not in names:
                file.unlink()

    def _whole(self) -> list[str]:
        """The complete checkpoints, oldest first."""
        state = tf.train.get_checkpoint_state(str(self._folder))
        return list(state.all_model_checkpoint_paths) if state else []

    def _path(self, step: int) -> str:
        return str(self._folder / f"ckpt-{step}")


def _step(path: str | None) -> int:
    return int(path.rsplit("-", 1)[1]) if path else 0


def _files(path: str) -> list[Path]:
    return sorted(Path(path).parent.glob(f"{Path(path).name}.*"))
