"""Training: one run, its baselines, grids of runs."""

from pathlib import Path
from typing import Annotated

import typer

from tfsage.commands.options import ConfigFile, Run, Split, say_done
from tfsage.errors import TfsageError

commands = typer.Typer()


@commands.command(epilog="Example: tfsage train --data prepared --config configs/demo.yaml --run runs/demo")
def train(
    data: Annotated[Path, typer.Option("--data", help="Folder that `tfsage prepare` wrote.")],
    config: ConfigFile,
    run: Run,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed than the config's.")] = None,
    replicas: Annotated[
        int | None,
        typer.Option("--replicas", min=1, help="Devices that share every batch: all GPUs, or one CPU, by default."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes of this machine that share every batch.")
    ] = 1,
) -> None:
    """Train the towers; the same command goes on where a stopped run left off.

    For workers on several machines, run the command on each of them, with TF_CONFIG in the environment.
    """
    from tfsage.config import load_config, with_seed

    settings = load_config(config)
    if workers > 1:
        from tfsage.training.workers import run_workers

        words = ["--data", data, "--config", config, "--run", run]
        words += [] if seed is None else ["--seed", seed]
        words += [] if replicas is None else ["--replicas", replicas]
        return run_workers(workers, ["-m", "tfsage.cli", "train", *words])
    if seed is not None:
        settings = with_seed(settings, seed)
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.training import train as train_towers

    train_towers(data, settings, run, replicas=replicas)


@commands.command(epilog="Example: tfsage baselines --run runs/demo")
def baselines(
    run: Run,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="sum_mlp, mlp_concat_mlp or tfrs; may be repeated; all by default."),
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which pairs the run was evaluated on.")] = Split.TEST,
    sentence_model: Annotated[
        Path | None, typer.Option("--sentence-model", help="Folder of a sentence-transformers model, as one more.")
    ] = None,
) -> None:
    """Train baselines on an evaluated run's data, then evaluate it again with them in the same table."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.baselines import BASELINES, write_baselines
    from tfsage.evaluation import evaluate_run

    write_baselines(run, name or BASELINES, split.value, sentence_model)
    evaluate_run(run, split=split.value)
    say_done(f"report in {run / ('report.html' if split is Split.TEST else 'report_dev.html')}")


@commands.command(epilog="Example: tfsage experiment losses/shop --out experiments/losses_shop")
def experiment(
    name: Annotated[
        str,
        typer.Argument(
            help="itemsage/table2 or table3, omnisearchsage/table3 to table6, losses/shop or losses/home_depot; "
            "docs/experiments.md"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the experiment; what is done there is kept.")],
    source: Annotated[
        Path | None, typer.Option("--source", help="Folder with the dataset's files, where the experiment needs any.")
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="How many trainings of each variant.")] = None,
    variant: Annotated[
        list[str] | None, typer.Option("--variant", help="Train only this, and the reference; may be repeated.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Variant to compare the others with; the first by default.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Choose on dev, report on test.")] = Split.DEV,
    smoke: Annotated[bool, typer.Option("--smoke", help="A size that takes seconds, to see that it works.")] = False,
    full: Annotated[bool, typer.Option("--full", help="A size for a machine with accelerators.")] = False,
) -> None:
    """Train variants of one config over several seeds and compare them; the same command goes on."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.experiments import run_experiment

    if smoke and full:
        raise TfsageError("experiment: --smoke and --full are two sizes; give one of them")
    size = "smoke" if smoke else "full" if full else "default"
    run_experiment(name, out, source, seeds, variant or (), reference, split.value, size)
    say_done(f"results in {out / f'results_{split.value}.json'}, as Markdown beside it")
