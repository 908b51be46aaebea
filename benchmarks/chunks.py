"""Cached gradients: a batch of 8,192 pairs and 8,192 random negatives in chunks, against a whole batch of 512 and 512.

    python -m benchmarks.chunks [--smoke]

Memory: the peak of a process that trains the large batch in chunks of 512 rows should be that of one that trains the
small batch whole, and the features and embeddings that the large batch has more. The account says of what each peak is
made; the rest is TensorFlow itself, activations, what the loss makes of the embeddings, and gradients.
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
TOLERANCE = 0.1
"""The share by which the peak may exceed what it should be: an allocator leaves gaps."""


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
    for name, size in memory.items():
        # A query and two candidates for each pair, float32.
        size["embeddings"] = 3 * pairs[name] * dimension * 4 / 1e6
        parts = ("variables", "features", "embeddings")
        rest = size["peak"] - sum(size[part] for part in parts)
        account = ", ".join(f"{part} {size[part]:.0f}" for part in parts)
        print(f"{pairs[name]:5} pairs {name:>9}: peak {size['peak']:.0f} MB = {account}, rest {rest:.0f}")
    times = memory_ratio(**{name.replace(" ", "_"): size for name, size in memory.items()})
    verdict = "within" if times <= 1 + TOLERANCE else "not within"
    print(
        f"{times:.2f} times a batch of {chunk} plus the features and embeddings that it lacks: {verdict} "
        f"{TOLERANCE:.0%} of it"
    )
    for name, value in seconds.items():
        print(f"{pairs[name]:5} pairs {name:>9}: {value:7.2f} s a step, {value / pairs[name] * 1e3:6.2f} ms a pair")
    ratio = seconds["whole"] / pairs["whole"] / (seconds["in chunks"] / pairs["in chunks"])
    result = {"name": "chunks", "against": f"whole batch of {chunk} pairs, by pair", "ratio": round(ratio, 2)}
    result |= {"rounds": rounds, "megabytes": {name: round(size["peak"]) for name, size in memory.items()}}
    result |= {"memory_ratio": round(times, 3), "memory_reached": times <= 1 + TOLERANCE}
    print(json.dumps(result))


def memory_ratio(whole: dict[str, float], in_chunks: dict[str, float]) -> float:
    """The peak of the large batch as a multiple of what it should be.

    Args:
        whole, in_chunks: megabytes of the small and the large batch: `peak`, `features`, `embeddings`.
    """
    more = sum(in_chunks[part] - whole[part] for part in ("features", "embeddings"))
    return in_chunks["peak"] / (whole["peak"] + more)


if __name__ == "__main__":
    typer.run(main)
