"""The input pipeline alone, against the training step that it feeds.

    python -m benchmarks.input_pipeline [--smoke]

Both run on the synthetic shop with the config of the demo. The pipeline gathers token ids and images from the
memory-mapped stores, makes queries and tokenizes them; the step trains on batches that are already in memory.
"""

import itertools
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.timing import interleave
from tfsage.config import load_config
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.data.synthetic import write_shop
from tfsage.models import ItemSage

READ, TRAINED = 40, 5
"""Batches a round: many are read, since a few were prefetched while the step was timed."""


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 7,
) -> None:
    """Prints pairs per second and, as the last line, one JSON object."""
    products, rounds = (300, 2) if smoke else (5000, rounds)
    config = load_config("configs/demo.yaml")
    with tempfile.TemporaryDirectory() as scratch:
        tables, data = Path(scratch) / "tables", Path(scratch) / "data"
        write_shop(tables, products=products, seed=1)
        prepare(tables, config, data)
        model = ItemSage(config, PreparedData(data))
        model.compile()
        step = model.make_train_function()
        dataset = model.batches.dataset(featurize=model.featurize)
        ready = list(itertools.islice(dataset, TRAINED))
        stream = iter(dataset)

        def read() -> None:
            for _ in range(READ):
                next(stream)

        def train() -> None:
            batches = iter(ready)
            for _ in range(TRAINED):
                step(batches)

        seconds = interleave({"input pipeline": read, "training step": train}, rounds)
    rate = {
        name: batches * config.training.batch_size / seconds[name]
        for name, batches in (("input pipeline", READ), ("training step", TRAINED))
    }
    for name, value in rate.items():
        print(f"{name:>15} {value:10,.0f} pairs/s")
    ratio = rate["input pipeline"] / rate["training step"]
    print(
        json.dumps({"name": "input_pipeline", "against": "training step", "ratio": round(ratio, 2), "rounds": rounds})
    )


if __name__ == "__main__":
    typer.run(main)
