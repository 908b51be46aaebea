"""The results of a grid for people: on the console, and as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table as RichTable

from tfsage.experiments.grid import Experiment
from tfsage.experiments.results import UNDECIDED

CAPTION = (
    "Means over tasks and seeds; 95 % intervals by bootstrap over queries, paired for differences. A verdict needs an "
    "interval without zero and all seeds on the same side."
)


class Table(NamedTuple):
    """A title, the names of the columns, and rows of as many cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def result_tables(experiment: Experiment, results: dict) -> list[Table]:
    """Two tables of one row for each variant: recall against the reference, and what stands beside it."""
    first, second, *_, tail = results["metrics"]
    reference, found = results["reference"], results["variants"]
    order = sorted(found, key=[variant.name for variant in experiment.variants].index)
    recall = [
        [
            name,
            _with_interval(found[name][first]),
            _difference(found[name], first),
            _value(found[name][second]),
            _difference(found[name], second),
            _verdict(found[name], first),
        ]
        for name in order
    ]
    beside = [
        [
            name,
            str(len(found[name]["seeds"])),
            _value(found[name][tail]),
            _difference(found[name], tail),
            f"{found[name]['hub_share']:.1%}",
            f"{found[name]['coverage']:.1%}",
            f"{found[name]['temperature']:.3f}",
            f"{found[name]['seconds_per_step'] * 1e3:.0f}",
        ]
        for name in order
    ]
    minus = f"− {reference}"
    rare = f"tail {first}".replace(f"{experiment.metric}@", "@")
    return [
        Table(
            f"{experiment.name}, {results['split']}: {results['queries']:,} queries",
            ["variant", first, minus, second, minus, "verdict"],
            recall,
        ),
        Table(
            f"Beside it (tail: products engaged with at most {results['tail']['at_most']:g} times in training, "
            f"{results['tail']['share']:.0%} of the pairs)",
            ["variant", "seeds", rare, minus, "largest hub", "coverage", "final τ", "ms a step"],
            beside,
        ),
    ]


def rich_table(table: Table) -> RichTable:
    """For the console."""
    shown = RichTable(title=table.title, title_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if place else "left", no_wrap=not place)
    for row in table.rows:
        shown.add_row(*row)
    return shown


def markdown_table(table: Table) -> str:
    """With its title as a line of text above it."""
    lines = [table.title, "", _line(table.columns), _line(["---"] + ["---:"] * (len(table.columns) - 1))]
    return "\n".join([*lines, *[_line(row) for row in table.rows]]) + "\n"


def _verdict(variant: dict, metric: str) -> str:
    if "differences" not in variant:
        return ""
    verdict = variant["differences"][metric]["verdict"]
    return f"{verdict} (one seed)" if len(variant["seeds"]) == 1 and verdict != UNDECIDED else verdict


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _value(metric: dict) -> str:
    return f"{metric['value']:.3f}".replace("0.", ".", 1)


def _with_interval(metric: dict) -> str:
    low, high = (f"{metric[end]:.3f}".removeprefix("0") for end in ("low", "high"))
    return f"{_value(metric)} [{low}, {high}]"


def _difference(variant: dict, metric: str) -> str:
    if "differences" not in variant:
        return ""
    paired = variant["differences"][metric]
    value, low, high = (f"{paired[end]:+.3f}".replace("0.", ".", 1) for end in ("difference", "low", "high"))
    return f"{value} [{low}, {high}]".replace("-", "−")
