"""Two devices against one, for the same global batch: whole training steps of `tfsage train`.

    python -m benchmarks.replicas [--smoke]

Both sides share the same cores, so that two replicas can at best be as fast as one: what is measured is what it costs
to divide a step. Each side is a process of its own, since devices are laid out once in the life of a process; one has
two logical CPU devices under MirroredStrategy. Both get the same batches, and must begin with the same loss.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.timing import interleave
from benchmarks.training_worker import prepare_shop
from benchmarks.worker import Worker

TOLERANCE = 1e-4


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    pairs: Annotated[int, typer.Option(help="Pairs in a global batch; as many random negatives are added.")] = 512,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 15,
) -> None:
    """Prints seconds per step and, as the last line, one JSON object."""
    if smoke:
        pairs, rounds = 32, 3
    with tempfile.TemporaryDirectory() as scratch:
        data = prepare_shop(Path(scratch), smoke)
        command = [sys.executable, "-m", "benchmarks.training_worker", str(data), "--pairs", str(pairs)]
        command += ["--batches", "4", *(["--smoke"] if smoke else [])]
        with Worker([*command, "--replicas", "1"]) as one, Worker([*command, "--replicas", "2"]) as two:
            losses = {"one device": [], "two devices": []}
            sides = {"one device": one, "two devices": two}
            seconds = interleave(
                {
                    name: lambda name=name, side=side: losses[name].append(side.ask("step")["loss"])
                    for name, side in sides.items()
                },
                rounds,
            )
    first = [values[0] for values in losses.values()]
    if not abs(first[0] - first[1]) < TOLERANCE:
        raise SystemExit(f"the losses of the first step, {first}, differ by more than {TOLERANCE}")
    print(f"{pairs} pairs and {pairs} random negatives in a global batch")
    for name, value in seconds.items():
        print(f"{name:>15} {value * 1e3:8.0f} ms a step")
    ratio = seconds["one device"] / seconds["two devices"]
    print(json.dumps({"name": "replicas", "against": "one device", "ratio": round(ratio, 3), "rounds": rounds}))


if __name__ == "__main__":
    typer.run(main)
