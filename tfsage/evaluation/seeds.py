"""Several runs of the same config (seeds) as one result: `python -m tfsage.evaluation.seeds RUN RUN RUN`.

A metric is averaged over the runs query by query, then queries are resampled: the interval says how much the mean of
these runs could move with other queries. Differences from a baseline are paired the same way.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from tfsage.config import EvaluationConfig
from tfsage.errors import TfsageError
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.measure import FUSION, MODEL, systems_metrics
from tfsage.evaluation.recall import recall_sums
from tfsage.evaluation.summary import Summary, averaged
from tfsage.launch import launch


def average_runs(runs: Sequence[str | Path], split: str, config: EvaluationConfig) -> dict:
    """The metrics of every task, averaged over runs that were evaluated on the same pairs.

    Args:
        runs: run folders, evaluated on `split`.
        split: dev or test.
        config: `k`, `bootstrap` and `seed` are used.

    Returns:
        For each task what `recall_metrics` returns, and "runs": each run's own value of every metric, by system.

    Raises:
        TfsageError: a run is not evaluated, or two runs have other tasks, pairs, candidates or systems.
    """
    vectors = [FrozenVectors(Path(run) / "vectors" / split) for run in runs]
    metrics = {}
    for task in vectors[0].tasks:
        judgements = vectors[0].judgements(task)
        for run, frozen in zip(runs[1:], vectors[1:], strict=True):
            if task not in frozen.tasks or not _same_question(frozen.judgements(task), judgements):
                raise TfsageError(f"{run}: its task {task} was not evaluated on the same pairs as that of {runs[0]}")
        ranks = [frozen.ranks(task) for frozen in vectors]
        if len({frozenset(each) for each in ranks}) > 1:
            raise TfsageError(f"{task}: the runs were evaluated with different baselines; evaluate them again")
        sums = [{name: recall_sums(r, judgements, config.k) for name, r in each.items()} for each in ranks]
        systems = {name: averaged([each[name] for each in sums]) for name in sums[0]}
        metrics[task] = systems_metrics(Summary(systems, config.bootstrap, config.seed))
        metrics[task]["runs"] = {
            name: {
                metric: [
                    float(each[name][metric].numerator.sum() / each[name][metric].denominator.sum()) for each in sums
                ]
                for metric in systems[name]
            }
            for name in systems
        }
    return metrics


def seeds_table(task: str, metrics: dict, metric: str) -> Table:
    """One metric of one task: the mean over runs of every system, and its difference from the model and baselines."""
    systems = {MODEL: metrics} | ({FUSION: metrics[FUSION]} if FUSION in metrics else {}) | metrics["baselines"]
    table = Table(title=f"{task}: {metric}, {metrics[metric]['queries']:,} queries")
    for column in ("system", "mean", "95 % interval", "each run"):
        table.add_column(column, justify="left" if column == "system" else "right")
    for name, values in systems.items():
        own, runs = values[metric], " ".join(f"{value:.4f}" for value in metrics["runs"][name][metric])
        table.add_row(name, f"{own['value']:.4f}", f"{own['low']:.4f} – {own['high']:.4f}", runs)
    table.add_section()
    for name in (name for name in (MODEL, FUSION) if name in systems):
        for other, differences in systems[name]["differences"].items():
            paired = differences[metric]
            label = f"{name} − {other}"
            table.add_row(label, f"{paired['difference']:+.4f}", f"{paired['low']:+.4f} – {paired['high']:+.4f}", "")
    return table


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    runs: Annotated[list[Path], typer.Argument(help="Run folders that `tfsage evaluate` has evaluated.")],
    split: Annotated[str, typer.Option(help="dev or test")] = "test",
    k: Annotated[
        list[int] | None, typer.Option("-k", help="10 and 100 by default; give it several times for more.")
    ] = None,
    metric: Annotated[str, typer.Option(help="recall, macro_recall or query_recall")] = "query_recall",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Average evaluated runs of several seeds, with intervals over queries and paired differences."""
    ks = tuple(k or (10, 100))
    metrics = average_runs(runs, split, EvaluationConfig(k=ks))
    if as_json:
        typer.echo(json.dumps(metrics, indent=2))
        return
    for task, values in metrics.items():
        for each in ks:
            Console().print(seeds_table(task, values, f"{metric}@{each}"))


def _same_question(one: Judgements, other: Judgements) -> bool:
    arrays = ("query", "product", "weight", "distractors", "excluded_query", "excluded_product")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)


if __name__ == "__main__":
    launch(app)
