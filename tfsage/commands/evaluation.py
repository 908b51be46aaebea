"""What a run, or its bundle, is worth."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tfsage.commands.options import Run, Split, say_done
from tfsage.console import console
from tfsage.errors import TfsageError

commands = typer.Typer()


@commands.command(epilog="Example: tfsage evaluate --run runs/demo")
def evaluate(
    run: Run,
    split: Annotated[Split, typer.Option("--split", help="Which pairs to evaluate on.")] = Split.TEST,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Bundle exported from the run: also measure what its serving loses.")
    ] = None,
) -> None:
    """Measure recall beside baselines; write metrics.json and report.html into the run."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.evaluation import evaluate_run

    evaluate_run(run, split=split.value, bundle=bundle)
    say_done(f"report in {run / ('report.html' if split is Split.TEST else 'report_dev.html')}")


@commands.command(epilog="Example: tfsage compare runs/before runs/after")
def compare(
    run_a: Annotated[Path, typer.Argument(help="Evaluated run to compare with.", show_default=False)],
    run_b: Annotated[Path, typer.Argument(help="Evaluated run in question.", show_default=False)],
    split: Annotated[Split, typer.Option("--split", help="Which evaluation of the runs.")] = Split.TEST,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Paired difference of two evaluated runs, by task and by stratum, with a verdict."""
    from rich.console import Console

    from tfsage.evaluation.comparison import comparison_tables, verdict_lines
    from tfsage.evaluation.paired import compare_runs

    compared = compare_runs(run_a, run_b, split=split.value)
    verdict = verdict_lines(compared)
    if as_json:
        typer.echo(json.dumps({**compared, "verdict": verdict}, indent=2))
        return
    for table in comparison_tables(compared):
        Console().print(table)
    typer.echo("\n".join(verdict))


@commands.command(epilog="Example: tfsage doctor bundles/CURRENT --against bundles/0a1b2c3d4e5f")
def doctor(
    bundle: Annotated[Path, typer.Argument(help="Bundle to examine.", show_default=False)],
    against: Annotated[
        Path | None, typer.Option("--against", help="Earlier bundle: what changed, and can both be mixed?")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file whose section `doctor` has the thresholds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine the vectors and towers of a bundle. Exit status: 0 healthy, 1 alarms, 2 could not be examined."""
    from rich.console import Console

    from tfsage.bundle import Bundle
    from tfsage.config import DoctorConfig, load_config
    from tfsage.health import diagnose
    from tfsage.health.table import findings_table, remedies_table
    from tfsage.quiet import quiet_tensorflow

    try:
        settings = load_config(config).doctor if config else DoctorConfig()
        bundles = [Bundle.open(folder) for folder in (bundle, against) if folder]
        quiet_tensorflow()
        from tfsage.health.bundle_space import bundle_space

        findings = diagnose(*map(bundle_space, bundles), config=settings)
    except TfsageError as error:
        error.exit_status = 2
        raise
    healthy = all(finding.verdict != "alarm" for finding in findings)
    if as_json:
        about = {"bundle": str(bundle), "against": str(against) if against else None, "healthy": healthy}
        typer.echo(json.dumps({**about, "findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        Console().print(findings_table(findings, f"health of {bundle}"))
        if not healthy:
            Console().print(remedies_table(findings))
    if not healthy:
        raise typer.Exit(1)


@commands.command(
    epilog="Example: tfsage probe --embeddings bundles/CURRENT/embeddings --labels labels.parquet --label kind"
)
def probe(
    embeddings: Annotated[Path, typer.Option("--embeddings", help="Parquet file or folder: id, embedding.")],
    labels: Annotated[Path, typer.Option("--labels", help="Parquet file or folder with the same ids.")],
    label: Annotated[str, typer.Option("--label", help="Column of the labels to classify by.")],
    out: Annotated[Path, typer.Option("--out", help="JSON file to write.")],
    text: Annotated[str | None, typer.Option("--text", help="Text column, for the FastText baseline.")] = None,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Column; rows with the same value are never in two folds.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Of the cross-validation.")] = 5,
) -> None:
    """Classify by frozen embeddings, linear and MLP, cross-validated, beside baselines."""
    from tfsage.probe import probe_files, probe_table

    result = probe_files(embeddings, labels, label, out, text, groups, folds)
    console.print(probe_table(result))
    say_done(f"results in {out}")
