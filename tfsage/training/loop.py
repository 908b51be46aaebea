"""Training that may be killed at any moment and goes on with the same command."""

from pathlib import Path

import tensorflow as tf
import tf_keras

from tfsage.config import Config
from tfsage.console import console
from tfsage.models import ItemSage
from tfsage.training.callbacks import Checkpoints, History, NonFiniteGuard, ProgressLine
from tfsage.training.run import Run


def train(data: str | Path, config: Config, run: str | Path) -> ItemSage:
    """Trains to the end of the config's phases, going on from the last checkpoint of the run folder if there is one.

    The batch of a step depends on the step alone, and a checkpoint holds every variable (weights, optimizer slots,
    frequency counts, temperature, dropout state, step), so an interrupted run ends with the weights of an
    undisturbed one. Operations run deterministically for that reason.

    Args:
        data: a prepared folder.
        config: the whole config; a resumed run must be given the same.
        run: the run folder, made when it is missing.

    Returns:
        The trained model.

    Raises:
        TfsageError: the run folder belongs to another run, a task has no pairs, or the loss became NaN or infinite.
    """
    opened = Run.create(run, config, data)
    tf.config.experimental.enable_op_determinism()
    tf_keras.utils.set_random_seed(config.training.seed)
    model = ItemSage(config, opened.data)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    if model.batches.left_out:
        console.print(f"Left out, since the tables have no pairs for them: {', '.join(model.batches.left_out)}")
    checkpoints = Checkpoints(opened.folder / "checkpoints", model, config.training.checkpoint_every)
    step, total = checkpoints.restore(), model.batches.total_steps
    if step:
        console.print(f"Going on from step {step} of {total}")
    with ProgressLine(total, step, config.training.batch_size) as line:
        guard = NonFiniteGuard(model.batches, checkpoints)
        history = History(opened.folder, step)
        while step < total:
            end = min(total, (step // config.training.steps_per_epoch + 1) * config.training.steps_per_epoch)
            model.fit(
                model.dataset(step),
                steps_per_epoch=end - step,
                verbose=0,
                callbacks=[guard, checkpoints, history, line],
            )
            step = end
    checkpoints.save()
    console.print(f"Trained {total} steps; the run lies in {opened.folder}")
    return model
