"""The input pipeline alone, against the training step that it feeds; and its memory, for a catalog ten times larger.

    python -m benchmarks.input_pipeline [--smoke]

Speed: on the synthetic shop with the config of the demo. The pipeline reads token ids and images, from the
memory-mapped stores or from records, makes queries and tokenizes them; the step trains on batches already in memory.
Memory: what a process that only reads batches holds at its peak (anonymous memory: pages of mapped files are the
operating system's to drop), for 100,000 and for 1,000,000 small products with two pairs each.
"""

import itertools
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.reader_memory import peak_memory, write_catalog
from benchmarks.timing import interleave
from tfsage.config import load_config
from tfsage.data.batches import TrainingBatches
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.data.synthetic import write_shop
from tfsage.models import ItemSage

READ, TRAINED = 40, 5
"""Batches a round: many are read, since a few were prefetched while the step was timed."""

READERS = ("store", "records")


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 7,
) -> None:
    """Prints pairs per second, megabytes, and, as the last line, one JSON object."""
    products, catalogs, rounds = (300, (1000, 10_000), 2) if smoke else (5000, (100_000, 1_000_000), rounds)
    with tempfile.TemporaryDirectory() as scratch:
        rate = _speed(Path(scratch), products, rounds)
        memory = _memory(Path(scratch), catalogs)
    for name, value in rate.items():
        print(f"{name:>15} {value:10,.0f} pairs/s")
    for reader, sizes in memory.items():
        sizes = ", ".join(f"{size:6.0f} MB for {count:9,} products" for count, size in sizes.items())
        print(f"{reader:>15} peak memory {sizes}")
    ratios = {reader: round(rate[reader] / rate["training step"], 2) for reader in READERS}
    growth = {reader: round(sizes[catalogs[1]] / sizes[catalogs[0]], 3) for reader, sizes in memory.items()}
    print(
        json.dumps(
            {
                "name": "input_pipeline",
                "against": "training step",
                "ratio": min(ratios.values()),
                "rounds": rounds,
                "ratios": ratios,
                "memory_growth": growth,
                "catalogs": catalogs,
            }
        )
    )


def _speed(scratch: Path, products: int, rounds: int) -> dict[str, float]:
    """Pairs per second of each reader and of the training step."""
    config = load_config("configs/demo.yaml")
    write_shop(scratch / "tables", products=products, seed=1)
    prepare(scratch / "tables", config, scratch / "data")
    data = PreparedData(scratch / "data")
    model = ItemSage(config, data)
    model.compile()
    step = model.make_train_function()
    ready = list(itertools.islice(model.dataset(), TRAINED))

    def train() -> None:
        batches = iter(ready)
        for _ in range(TRAINED):
            step(batches)

    def reading(reader: str):
        training = config.training.model_copy(update={"product_features": reader})
        batches = TrainingBatches(data, config.model_copy(update={"training": training}))
        stream = iter(batches.dataset(featurize=model.featurize))
        return lambda: [next(stream) for _ in range(READ)]

    seconds = interleave({**{reader: reading(reader) for reader in READERS}, "training step": train}, rounds)
    batches = {"training step": TRAINED}
    return {name: batches.get(name, READ) * config.training.batch_size / took for name, took in seconds.items()}


def _memory(scratch: Path, catalogs: tuple[int, int]) -> dict[str, dict[int, float]]:
    """Peak megabytes of a process that reads, by reader and by products."""
    memory = {reader: {} for reader in READERS}
    for products in catalogs:
        folder = scratch / str(products)
        write_catalog(folder, products)
        for reader in READERS:
            memory[reader][products] = peak_memory(folder, reader)
    return memory


if __name__ == "__main__":
    typer.run(main)
