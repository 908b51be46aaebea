"""Cached gradients: a batch of 8,192 pairs and 8,192 random negatives in chunks, against a whole batch of 512 and 512.

    python -m benchmarks.chunks [--smoke]

Memory: the peak of a process that trains the large batch in chunks of 512 rows, and of one that trains the small batch
whole. What the large one needs more should be what grows with the batch alone: its features, its embeddings, and the
columns and gradients that the loss makes of them; a whole batch would need sixteen times the activations.
Time: of a step, by pair. Cached gradients embed everything twice, and a pair meets 16 times as many candidates.
"""

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.timing import interleave
from benchmarks.training_worker import prepare_shop, training_config
from benchmarks.worker import Worker

CHUNK, LARGER = 512, 16
"""Rows of a chunk, which is also the small batch; how many times larger the large batch is."""


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 3,
) -> None:
    """Prints megabytes, milliseconds per pair and, as the last line, one JSON object."""
    chunk, rounds = (16, 2) if smoke else (CHUNK, rounds)
    sizes = {"whole": ["--pairs", str(chunk)]}
    sizes["in chunks"] = ["--pairs", str(chunk * LARGER), "--chunk-size", str(chunk)]
    pairs = {"whole": chunk, "in chunks": chunk * LARGER}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as processes:
        data = prepare_shop(Path(scratch), smoke)
        command = [sys.executable, "-m", "benchmarks.training_worker", str(data), *(["--smoke"] if smoke else [])]
        workers = {name: processes.enter_context(Worker([*command, *words])) for name, words in sizes.items()}
        seconds = interleave({name: lambda w=worker: w.ask("step") for name, worker in workers.items()}, rounds)
        memory = {name: worker.ask("memory") for name, worker in workers.items()}
    dimension = training_config(chunk, smoke=smoke).towers["product"].dimension
    # A query and two candidates for each pair.
    embeddings = 3 * pairs["in chunks"] * dimension * 4 / 1e6
    for name, size in memory.items():
        print(f"{pairs[name]:5} pairs {name:>9}: peak {size['peak']:6.0f} MB, its features {size['features']:5.0f} MB")
    beyond = memory["in chunks"]["peak"] - memory["whole"]["peak"]
    print(
        f"{beyond:.0f} MB more: {memory['in chunks']['features']:.0f} MB of features, {embeddings:.0f} MB of "
        "embeddings, and what the loss and the sum of the chunks' gradients need"
    )
    for name, value in seconds.items():
        print(f"{pairs[name]:5} pairs {name:>9}: {value:7.2f} s a step, {value / pairs[name] * 1e3:6.2f} ms a pair")
    ratio = seconds["whole"] / pairs["whole"] / (seconds["in chunks"] / pairs["in chunks"])
    result = {"name": "chunks", "against": f"whole batch of {chunk} pairs, by pair", "ratio": round(ratio, 2)}
    result |= {"rounds": rounds, "megabytes": {name: round(size["peak"]) for name, size in memory.items()}}
    print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
