"""The training step of ItemSage against a straight PyTorch build, in an environment of its own.

    python -m benchmarks.train_step_torch [--smoke]

The batch, the loss and the weights to start from are those of `benchmarks.train_step`; PyTorch's own first loss must
come out the same. The environment (.venv-torch) is made on demand. Both sides get two threads.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import tensorflow as tf
import typer

from benchmarks.environments import python_of
from benchmarks.straight import straight_twin
from benchmarks.timing import interleave
from benchmarks.train_step import (
    FULL,
    SMALL,
    SMALL_VOCABULARY,
    VOCABULARY,
    describe,
    make_batch,
    our_optimizer,
    our_step,
    product_tower,
)
from benchmarks.worker import Worker
from tfsage.config import LossConfig
from tfsage.towers.product import ItemSageTower

ENVIRONMENT = Path(".venv-torch")
REQUIREMENTS = ("torch==2.13.0", "numpy")
TOLERANCE = 1e-3


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    pairs: Annotated[int, typer.Option(help="Pairs in a batch; as many random negatives are added.")] = 512,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 7,
) -> None:
    """Prints seconds per step and, as the last line, one JSON object."""
    config, vocabulary = (SMALL, SMALL_VOCABULARY) if smoke else (FULL, VOCABULARY)
    if smoke:
        pairs, rounds = 16, 2
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    python = python_of(ENVIRONMENT, REQUIREMENTS)
    batch = make_batch(config, vocabulary, pairs)
    tower = product_tower(config, vocabulary)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "start.npz"
        np.savez(file, **flat_batch(batch), **weights(tower), heads=config.heads)
        with Worker([str(python), str(Path(__file__).with_name("straight_torch.py")), str(file)]) as torch:
            step = our_step(tower, our_optimizer)
            batch = tf.nest.map_structure(tf.constant, batch)
            losses = {"PyTorch": [], "tfsage": []}
            seconds = interleave(
                {
                    "PyTorch": lambda: losses["PyTorch"].append(torch.ask("step")["loss"]),
                    "tfsage": lambda: losses["tfsage"].append(float(step(batch))),
                },
                rounds,
            )
    first = [values[0] for values in losses.values()]
    if not abs(first[0] - first[1]) < TOLERANCE:
        raise SystemExit(f"the builds begin with different losses, {first}: they are not the same function")
    if not all(np.isfinite(values).all() and values[-1] < values[0] for values in losses.values()):
        raise SystemExit(f"a build does not learn: {losses}")
    print(describe(batch))
    for name, value in seconds.items():
        print(f"{name:>15} {value * 1e3:8.0f} ms a step")
    ratio = seconds["PyTorch"] / seconds["tfsage"]
    result = {"name": "train_step_torch", "against": f"straight PyTorch build ({REQUIREMENTS[0]})"}
    print(json.dumps({**result, "ratio": round(ratio, 2), "rounds": rounds}))


def flat_batch(batch: dict) -> dict[str, np.ndarray]:
    return {**batch["features"], **{name: value for name, value in batch.items() if name != "features"}}


def weights(tower: ItemSageTower) -> dict[str, np.ndarray]:
    """Name → array of every weight of the straight build, kernels as [inputs, outputs]."""
    twin = straight_twin(tower)
    block = tower.encoder.blocks[0]
    layers = {layer.name: layer for layer in (block.query, block.key, block.value, block.attended)}
    layers |= {layer.name: layer for layer in (block.attention_norm, block.feed_forward_norm, block.inner, block.outer)}
    layers |= {"image_map": twin.image_map, "text_map": twin.text_map}
    layers |= {f"head_{place}": layer for place, layer in enumerate(twin.head.layers)}
    named = {
        f"{name}/{weight.name.split('/')[-1].removesuffix(':0')}": weight.numpy()
        for name, layer in layers.items()
        for weight in layer.weights
    }
    own = {"table": twin.table.numpy(), "importance": twin.importance.numpy(), "cls": twin.cls.numpy()}
    own["buckets_of_token"] = twin.buckets_of_token.numpy()
    own["log_scale"] = -np.log(np.float32(LossConfig().temperature))
    return named | own


if __name__ == "__main__":
    typer.run(main)
