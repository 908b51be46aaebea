"""results_SPLIT.html: the results of a grid with bars for every variant, in one file that asks for nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfsage.evaluation.report import tables as report
from tfsage.evaluation.report.axes import Figure
from tfsage.evaluation.report.bars import Bar, bar_figure, difference_figure
from tfsage.evaluation.report.template import fill
from tfsage.experiments.tables import CAPTION, Table

_TEMPLATE = Path(__file__).with_name("page.html.j2")
_REFERENCE, _OTHER = 1, 0


def render_results(results: Mapping, tables: Sequence[Table]) -> str:
    """The HTML of the results.

    Args:
        results: what results_SPLIT.json says.
        tables: the same that the console shows.
    """
    variants, reference = results["variants"], results["reference"]
    metrics = {}
    for metric in results["metrics"]:
        metrics[metric] = _figures({name: own[metric] for name, own in variants.items()}, reference, metric)
        differences = {name: own["differences"][metric] for name, own in variants.items() if "differences" in own}
        metrics[metric] += _difference_figures(differences, f"{metric}: differences from {reference}")
    return fill(
        _TEMPLATE,
        results=results,
        caption=CAPTION,
        metrics=metrics,
        tasks=_task_figures(results["paper"]) if "paper" in results else {},
        tables=[
            report.Table(each.title, list(each.columns), [[report.Cell(cell) for cell in row] for row in each.rows])
            for each in tables
        ],
    )


def _task_figures(judged: Mapping) -> dict[str, list[Figure]]:
    """The variants of a paper's table on each task, and how they differ from the reference, relatively."""
    found, reference = {}, judged["reference"]
    for task in dict.fromkeys(task for own in judged["variants"].values() for task in own["tasks"]):
        own = {name: each["tasks"][task] for name, each in judged["variants"].items() if task in each["tasks"]}
        differences = {name: each["difference"] for name, each in own.items() if "difference" in each}
        found[task] = _figures(own, reference, judged["metric"])
        found[task] += _difference_figures(differences, f"{judged['metric']}, relative to {reference} (0.1 is 10 %)")
    return found


def _figures(values: Mapping[str, Mapping], reference: str, caption: str) -> list[Figure]:
    bars = [
        Bar(name, _REFERENCE if name == reference else _OTHER, each["value"], each["low"], each["high"])
        for name, each in values.items()
    ]
    return [bar_figure(bars, f"{caption} with its interval")] if bars else []


def _difference_figures(differences: Mapping[str, Mapping], caption: str) -> list[Figure]:
    bars = [Bar(name, _OTHER, each["difference"], each["low"], each["high"]) for name, each in differences.items()]
    return [difference_figure(bars, caption, [_sign(each) for each in differences.values()])] if bars else []


def _sign(found: Mapping) -> str:
    """The interval over queries has to leave zero out, and every seed alone has to say the same."""
    if found["low"] > 0 and min(found["runs"]) > 0:
        return "▲"
    return "▼" if found["high"] < 0 and max(found["runs"]) < 0 else "○"
