"""A public dataset, from its files to figures over several seeds: import, prepare, train, evaluate, average.

    python -m examples.datasets home_depot --source FOLDER
    python -m examples.datasets fashion_products --source FOLDER

Choices are made on dev (`--split dev`); test is for reporting. Runs, vectors and reports stay in runs/CONFIG; killed,
the same command goes on.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

TFSAGE = [sys.executable, "-m", "tfsage.cli"]


def main(
    name: Annotated[str, typer.Argument(help="home_depot or fashion_products")],
    source: Annotated[Path, typer.Option(help="The folder with the dataset's files.")],
    config: Annotated[Path | None, typer.Option(help="configs/NAME.yaml when left out; names the run folder.")] = None,
    seeds: Annotated[int, typer.Option(help="How many trainings.")] = 3,
    split: Annotated[str, typer.Option(help="dev or test")] = "test",
) -> None:
    """Reports the mean over seeds with intervals over queries, beside the baselines and paired with them."""
    config = config or Path("configs") / f"{name}.yaml"
    folder = Path("runs") / config.stem
    tables, data = folder / "tables", folder / "data"
    if not tables.exists():
        run_command(*TFSAGE, "import", name, "--source", source, "--out", tables)
    if not data.exists():
        run_command(*TFSAGE, "prepare", "--tables", tables, "--config", config, "--out", data)
    runs = [folder / f"seed{seed}" for seed in range(1, seeds + 1)]
    for seed, run in enumerate(runs, 1):
        run_command(*TFSAGE, "train", "--data", data, "--config", config, "--run", run, "--seed", seed)
        run_command(*TFSAGE, "evaluate", "--run", run, "--split", split)
    run_command(sys.executable, "-m", "tfsage.evaluation.seeds", *runs, "--split", split)


def run_command(*words) -> None:
    """Runs a command to its end; where it fails, so does this one."""
    done = subprocess.run([str(word) for word in words])
    if done.returncode:
        raise typer.Exit(done.returncode)


if __name__ == "__main__":
    typer.run(main)
