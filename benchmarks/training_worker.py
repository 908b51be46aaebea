"""A process that trains ItemSage as `tfsage train` does, one step whenever it is asked to.

    python -m benchmarks.training_worker DATA [--replicas N] [--pairs N] [--chunk-size N] [--smoke]

Every line `step` on standard input is answered by the seconds and the loss of one step of `ItemSage.train_step`,
`memory` by megabytes (10^6 bytes): the peak of the process, the variables of model and optimizer, and the features of a
batch. The batches are in memory before the first step.
"""

import gc
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tensorflow as tf
import tf_keras
import typer

from benchmarks.worker import answer_requests
from tfsage.config import Config, load_config
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.data.synthetic import write_shop
from tfsage.models import ItemSage
from tfsage.training.cluster import Cluster
from tfsage.training.strategy import choose_strategy

SMALL_TOWER = {"width": 64, "feed_forward": 128, "head_hidden": 128, "hash_embedding": {"buckets": 2000}}


def main(
    data: Path,
    replicas: int = 1,
    pairs: int = 512,
    chunk_size: Annotated[int, typer.Option(help="0 for the whole batch.")] = 0,
    batches: Annotated[int, typer.Option(help="Different batches, taken in turn.")] = 1,
    smoke: bool = False,
) -> None:
    """Answers until standard input ends."""
    tf.config.experimental.enable_op_determinism()
    strategy = choose_strategy(Cluster(), replicas)
    tf_keras.utils.set_random_seed(1)
    with strategy.scope():
        model = ItemSage(training_config(pairs, chunk_size, smoke), PreparedData(data))
        model.compile()
        model.optimizer.build(model.trainable_variables)
    dataset = model.dataset()
    ready = list(itertools.islice(dataset, batches))
    # Or what the iterator made ahead would be in memory beside, or not, as it happens.
    gc.collect()
    run = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)), [dataset.element_spec])
    turn = itertools.cycle(ready)

    def step() -> dict:
        batch = next(turn)
        start = time.perf_counter()
        loss = float(strategy.experimental_local_results(run(batch)["loss"])[0])
        return {"seconds": time.perf_counter() - start, "loss": loss}

    def memory() -> dict:
        features = [part for batch in ready for part in tf.nest.flatten(batch)]
        return {
            "peak": peak_memory(),
            "variables": _megabytes([*model.variables, *model.optimizer.variables]),
            "features": _megabytes(features) / len(ready),
        }

    answers: dict[str, Callable[[], dict]] = {"step": step, "memory": memory}
    answer_requests(lambda request: answers[request]())


def training_config(pairs: int, chunk_size: int = 0, smoke: bool = False) -> Config:
    """The paper's config with another batch size; with small towers for a smoke test."""
    config = load_config("configs/itemsage.yaml")
    training = config.training.model_copy(update={"batch_size": pairs, "chunk_size": chunk_size or None})
    section = {"kind": "itemsage", **(SMALL_TOWER if smoke else {})}
    towers = {**config.towers, "product": type(config.towers["product"]).model_validate(section)}
    return config.model_copy(update={"training": training, "towers": towers})


def prepare_shop(scratch: Path, smoke: bool) -> Path:
    """A prepared synthetic shop below `scratch`."""
    write_shop(scratch / "tables", products=200 if smoke else 2000, seed=1)
    prepare(scratch / "tables", training_config(512), scratch / "data")
    return scratch / "data"


def peak_memory() -> float:
    """Megabytes of memory that this process has held at most; not those of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return kibibytes * 1024 / 1e6


def _megabytes(tensors: list) -> float:
    return sum(tensor.numpy().nbytes for tensor in tensors) / 1e6


if __name__ == "__main__":
    typer.run(main)
