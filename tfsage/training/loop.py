"""Training that may be killed at any moment and goes on with the same command."""

import contextlib
from pathlib import Path

import tensorflow as tf
import tf_keras

from tfsage.config import Config
from tfsage.console import console
from tfsage.data.schema import TABLE_OF_TYPE
from tfsage.models import EmbeddingModel
from tfsage.training.calibration import Calibration, slot_probabilities
from tfsage.training.callbacks import History, NonFiniteGuard, ProgressLine
from tfsage.training.checkpoints import Checkpoints
from tfsage.training.cluster import Cluster
from tfsage.training.mining.schedule import HardNegativeMining
from tfsage.training.peers import PeerWatch
from tfsage.training.run import Run
from tfsage.training.shared_folder import claim
from tfsage.training.strategy import choose_strategy, value_of_chief
from tfsage.training.throughput import Throughput


def train(data: str | Path, config: Config, run: str | Path, replicas: int | None = None) -> EmbeddingModel:
    """Trains to the end of the config's phases, going on from the last checkpoint of the run folder if there is one.

    The batch of a step depends on the step alone, and a checkpoint holds every variable (weights, optimizer slots,
    frequency counts, temperature, dropout state, step), so an interrupted run ends with the weights of an
    undisturbed one. Operations run deterministically for that reason.

    The devices of this process, and those of the other workers when TF_CONFIG names some, share every batch; see
    `tfsage.training.strategy`. Only the chief writes into the run folder, which all workers have to see, and only it
    shows progress.

    Args:
        data: a prepared folder, under the same path for every worker.
        config: the whole config; a resumed run must be given the same.
        run: the run folder, made when it is missing.
        replicas: devices of this process to use; None leaves it to what there is.

    Returns:
        The trained model.

    Raises:
        TfsageError: the run folder belongs to another run or is in use, a task has no pairs, the loss became NaN or
            infinite, or another worker was lost.
    """
    tf.config.experimental.enable_op_determinism()
    cluster = Cluster.from_environment()
    opened = Run.create(run, config, data) if cluster.is_chief else None
    with PeerWatch(cluster) as watch:
        strategy = choose_strategy(cluster, replicas)
        watch.all_there()
        if opened is None:
            opened = Run.join(run, config, data)
            return _train(opened, strategy, cluster)
        with claim(opened.folder):
            return _train(opened, strategy, cluster)


def _train(run: Run, strategy: tf.distribute.Strategy, cluster: Cluster) -> EmbeddingModel:
    config = run.config.training
    tf_keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = EmbeddingModel(run.settled_config, run.data)
        model.compile()
        model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(run.folder / "checkpoints", model, config.checkpoint_every, cluster)
    step, total = checkpoints.restore(), model.batches.total_steps
    mining = HardNegativeMining(run, model, cluster)
    throughput = Throughput(config.batch_size)
    callbacks = [throughput, NonFiniteGuard(model.batches, checkpoints), checkpoints]
    with contextlib.ExitStack() as shown:
        if cluster.is_chief:
            _introduce(model, checkpoints, step)
            history = History(run.folder, step, throughput)
            callbacks.append(history)
            callbacks.append(shown.enter_context(ProgressLine(total, step, throughput)))
        else:
            console.print(f"Worker {cluster.rank} of {cluster.size}; progress is shown by {cluster.name(0)}")
        while step < total:
            end = min(total, (step // config.steps_per_epoch + 1) * config.steps_per_epoch)
            mining.prepare(step, end)
            told = [_calibration(model, history.writer, end - 1)] if cluster.is_chief else []
            model.fit(model.dataset(step), steps_per_epoch=end - step, verbose=0, callbacks=[*callbacks, *told])
            step = end
    checkpoints.save()
    value_of_chief(strategy, cluster, step)  # Nobody leaves before all have saved.
    if cluster.is_chief:
        console.print(throughput.describe())
        console.print(f"Trained {total} steps; the run lies in {run.folder}")
    return model


def _calibration(model: EmbeddingModel, writer: tf.summary.SummaryWriter, step: int) -> Calibration:
    """Of the frequencies that the batch of a step calls for."""
    tasks = {pool: model.batches.positives(pool, step) for pool in model.pools}
    tasks = {pool: own for pool, own in tasks.items() if own}
    return Calibration(
        writer,
        {pool: model.pools[pool].frequency for pool in tasks},
        {pool: slot_probabilities(own, model.batches.catalog_sizes[pool]) for pool, own in tasks.items()},
        {pool: sum(count for count, _ in own) for pool, own in tasks.items()},
    )


def _introduce(model: EmbeddingModel, checkpoints: Checkpoints, step: int) -> None:
    """What there is to know before the first step."""
    if model.batches.left_out:
        console.print(f"Left out, since the tables have no pairs for them: {', '.join(model.batches.left_out)}")
    for pool, columns in model.batches.absent_columns().items():
        table, tower = TABLE_OF_TYPE[model.batches.entity_types[pool]], model.batches.towers[pool]
        console.print(f"The {table} have no {', '.join(columns)}: zeros for tower {tower}", soft_wrap=True)
    if model.batches.product_features == "records":
        console.print("Product features are read from records, in sequence")
    if step:
        console.print(f"Going on from step {step} of {model.batches.total_steps}")
    if step and checkpoints.layout_before != checkpoints.layout:
        size = model.config.training.batch_size
        console.print(
            f"Before on {_devices(*checkpoints.layout_before)}, now on {_devices(*checkpoints.layout)}: the global "
            f"batch stays {size} pairs, divided anew. Sums are rounded in another order, so the weights will equal "
            "those of an undisturbed run up to rounding, no longer to the bit",
            soft_wrap=True,
        )


def _devices(replicas: int, workers: int) -> str:
    count = f"{replicas} replica{'s' if replicas > 1 else ''}"
    return f"{count} of {workers} workers" if workers > 1 else count
