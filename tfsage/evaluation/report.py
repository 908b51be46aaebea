"""report.html: the numbers of metrics.json for people, in one file that asks for nothing from the network."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from tfsage.evaluation.charts import Line, line_chart
from tfsage.evaluation.examples import RETURNED, Example
from tfsage.evaluation.measure import FUSION, MODEL
from tfsage.files import write_text

SYSTEM_NAMES = {
    MODEL: "this model",
    FUSION: "model + BM25",
    "bm25": "BM25",
    "sum": "sum of images",
    "popularity": "popularity",
    "random": "random",
}
_TEMPLATE = Path(__file__).with_name("report.html.j2")
_COLOURS = 8


def write_report(
    path: Path, run: Path, data: Path, metrics: Mapping, examples: Mapping[str, Sequence[Example]]
) -> None:
    """Writes the report of an evaluation.

    Args:
        path: of the HTML file.
        run: the run folder; its history.jsonl is read if it is there.
        data: the prepared folder; its report.json is read if it is there.
        metrics: what metrics.json says.
        examples: of each task.
    """
    history, prepared = run / "history.jsonl", data / "report.json"
    lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
    facts = json.loads(prepared.read_text(encoding="utf-8")) if prepared.exists() else {}
    write_text(path, render_report(run.resolve().name, metrics, examples, [json.loads(line) for line in lines], facts))


def render_report(
    title: str,
    metrics: Mapping,
    examples: Mapping[str, Sequence[Example]],
    history: Sequence[Mapping],
    data_report: Mapping,
) -> str:
    """The HTML of the report.

    Args:
        title: of the run.
        metrics: what metrics.json says.
        examples: of each task.
        history: one mapping per epoch: "step", and name → value under "loss" and "temperature".
        data_report: what preparation reported, nested in any way.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    tasks = metrics["tasks"]
    systems = {name: _systems(task) for name, task in tasks.items()}
    return environment.get_template(_TEMPLATE.name).render(
        title=title,
        metrics=metrics,
        systems=systems,
        names=SYSTEM_NAMES,
        shown=[name for name in SYSTEM_NAMES if any(name in task for task in systems.values())],
        headline=[f"{metric}@{k}" for metric in ("recall", "query_recall") for k in metrics["k"]],
        comparisons={name: _comparisons(task) for name, task in systems.items()},
        curves={name: _recall_curve(task["recall_curve"]) for name, task in tasks.items()},
        training=_training_charts(history),
        examples=examples,
        returned=RETURNED,
        facts=list(_facts(data_report)),
        tables=list(_tables(data_report)),
        verdict=_verdict,
    )


def _systems(task: Mapping) -> dict[str, Mapping]:
    """The metrics of every system of a task, in the order of `SYSTEM_NAMES`."""
    found = {MODEL: task, FUSION: task.get(FUSION)} | task["baselines"]
    return {name: found[name] for name in SYSTEM_NAMES if found.get(name)}


def _comparisons(systems: Mapping[str, Mapping]) -> list[tuple[str, str]]:
    """The differences worth a line: of the model and the fusion from every other ranking but the random one."""
    return [
        (system, other)
        for system in (MODEL, FUSION)
        if system in systems
        for other in systems
        if other in systems[system]["differences"] and other != "random"
    ]


def _verdict(difference: Mapping[str, float]) -> str:
    if difference["low"] > 0:
        return "▲"
    return "▼" if difference["high"] < 0 else "○"


def _recall_curve(curve: Mapping[str, Sequence[float]]) -> Markup:
    lines = [Line(name, f"sys-{key}", curve["k"], curve[key]) for key, name in SYSTEM_NAMES.items() if key in curve]
    return line_chart(lines, "recall@k", "k", log_x=True, from_zero=True)


def _training_charts(history: Sequence[Mapping]) -> list[Markup]:
    if not history:
        return []
    charts = []
    for title in ("loss", "temperature"):
        lines = [_history_line(title, name, place, history) for place, name in enumerate(history[-1][title])]
        if lines:
            charts.append(line_chart(lines, title, "step"))
    return charts


def _history_line(group: str, name: str, place: int, history: Sequence[Mapping]) -> Line:
    steps = [entry["step"] for entry in history]
    return Line(name, f"colour-{place % _COLOURS}", steps, [entry[group].get(name, float("nan")) for entry in history])


def _facts(report: Mapping, above: str = "") -> Iterator[tuple[str, str]]:
    """Every single fact of a nested report as (where, value)."""
    for key, value in report.items():
        where = f"{above} · {key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from _facts(value, where)
        elif isinstance(value, list):
            if not _is_table(value):
                yield where, ", ".join(str(each) for each in value) or "none"
        elif value is not None:
            yield where, _cell(value)


def _tables(report: Mapping) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Every list of records at the top of a report as (name, columns, rows)."""
    for name, records in report.items():
        if _is_table(records):
            columns = list(dict.fromkeys(key for record in records for key in record))
            yield name, columns, [[_cell(record.get(key, "")) for key in columns] for record in records]


def _is_table(value) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, Mapping) for record in value)


def _cell(value) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
