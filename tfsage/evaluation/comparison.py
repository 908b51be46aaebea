"""What `tfsage compare` says: the paired differences of two runs as tables, and what they mean in plain language."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.table import Table

_SIGNS = {"better": "▲", "worse": "▼", "undecided": "○"}


def verdict_lines(comparison: Mapping) -> list[str]:
    """One sentence per task, and one per stratum that departs from its task.

    Args:
        comparison: what `compare_runs` returns.
    """
    a, b = run_names(comparison)
    metric, lines, groups = headline_metric(comparison), [], 0
    for task, compared in comparison["tasks"].items():
        outcome = compared["metrics"][metric]
        lines.append(_task_line(task, metric, outcome, a, b))
        for stratum, group in _groups(compared, metric):
            groups += 1
            found = group[metric]
            if found["verdict"] not in ("undecided", outcome["verdict"]):
                where = f"{stratum.replace('_', ' ')}: {group['group']}"
                lines.append(f"  but {found['verdict']} on {task}, {where}, by {_spelled(found)}.")
    if any(line.startswith("  but") for line in lines):
        lines.append(f"{groups} groups were looked at; by chance alone about one in 20 has an interval without zero.")
    return lines


def comparison_tables(comparison: Mapping) -> list[Table]:
    """For each task a table of its metrics and, where there are strata, one of their first recall."""
    metric, tables = headline_metric(comparison), []
    for task, compared in comparison["tasks"].items():
        queries = compared["metrics"][metric]["queries"]
        overall = _table(f"{task}: B − A, paired over {queries:,} queries", comparison, ("metric",))
        for name, outcome in compared["metrics"].items():
            overall.add_row(name, *_cells(outcome))
        tables.append(overall)
        strata = _table(f"{task}: {metric} by stratum", comparison, ("stratum", "group", "pairs"))
        before = None
        for stratum, group in _groups(compared, metric):
            name = "" if stratum == before else stratum.replace("_", " ")
            strata.add_row(name, group["group"], f"{group['pairs']:,}", *_cells(group[metric]))
            before = stratum
        if strata.row_count:
            tables.append(strata)
    return tables


def headline_metric(comparison: Mapping) -> str:
    """The recall at the smallest k: what the verdict is about."""
    metrics = next(iter(comparison["tasks"].values()))["metrics"]
    return min((name for name in metrics if name.startswith("recall@")), key=lambda name: int(name.split("@")[1]))


def run_names(comparison: Mapping) -> tuple[str, str]:
    """What the two runs are called: by their folders' names, or by their whole paths where those are equal."""
    a, b = (Path(run).resolve() for run in comparison["runs"])
    return (a.name, b.name) if a.name != b.name else (str(a), str(b))


def _groups(compared: Mapping, metric: str) -> Iterator[tuple[str, Mapping]]:
    for stratum, groups in compared["strata"].items():
        yield from ((stratum, group) for group in groups if metric in group)


def _task_line(task: str, metric: str, outcome: Mapping, a: str, b: str) -> str:
    if outcome["verdict"] == "undecided":
        return f"Undecided on {task}: {b} minus {a} is {_signed(outcome)} in {metric}, and the interval holds zero."
    return f"{b} is {outcome['verdict']} than {a} on {task} by {_spelled(outcome)} in {metric}."


def _spelled(outcome: Mapping) -> str:
    """The size of a difference whose direction the words say: .021 [.010, .032]."""
    low, high = sorted((abs(outcome["low"]), abs(outcome["high"])))
    return f"{abs(outcome['difference']):.3f} [{low:.3f}, {high:.3f}]"


def _signed(outcome: Mapping) -> str:
    return f"{outcome['difference']:+.3f} [{outcome['low']:+.3f}, {outcome['high']:+.3f}]"


def _table(title: str, comparison: Mapping, names: tuple[str, ...]) -> Table:
    a, b = run_names(comparison)
    table = Table(title=title)
    for name in names:
        table.add_column(name, justify="right" if name == "pairs" else "left", overflow="fold")
    for column in (f"A: {a}", f"B: {b}", "difference"):
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    return table


def _cells(outcome: Mapping) -> tuple[str, ...]:
    verdict = outcome["verdict"]
    return f"{outcome['a']:.3f}", f"{outcome['b']:.3f}", _signed(outcome), f"{_SIGNS[verdict]} {verdict}"
