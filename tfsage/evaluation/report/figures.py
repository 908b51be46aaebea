"""The charts of an evaluation, from what metrics.json, the history and the index say."""

from collections.abc import Mapping, Sequence

from tfsage.evaluation.measure import MODEL
from tfsage.evaluation.report.axes import Figure
from tfsage.evaluation.report.bars import Bar, bar_figure, difference_figure
from tfsage.evaluation.report.lines import Line, line_figure
from tfsage.evaluation.report.systems import first_recall, system_name, systems_of, values_of
from tfsage.evaluation.report.tables import comparisons, stratum_name

_CURVES = ("popularity_decile",)
"""Strata whose groups lie along an axis; the others are bars."""

_SHORT = {"no engagements": "none"}
"""Names that would not fit below an axis."""


def task_figures(metrics: Mapping, task: str) -> list[Figure]:
    """Recall of every system, and what it differs from the model and the fusion."""
    measured, systems, metric = metrics["tasks"][task], systems_of(metrics), first_recall(metrics)
    values = values_of(measured)
    bars = [_bar(system, systems.index(system), values[system][metric]) for system in systems if system in values]
    figures = [bar_figure(bars, f"{metric} with its interval")]
    differences = [
        Bar(f"{system_name(system)} − {system_name(other)}", 0, d["difference"], d["low"], d["high"])
        for system, other, found in comparisons(measured)
        if (d := found.get(metric))
    ]
    if differences:
        figures.append(difference_figure(differences, f"{metric}: paired differences"))
    return figures


def curve_figures(metrics: Mapping, task: str) -> list[Figure]:
    """Recall over k, and over the number of distractors."""
    measured, systems = metrics["tasks"][task], systems_of(metrics)
    figures = []
    if curve := measured.get("recall_curve"):
        lines = [_line(system, place, curve["k"], curve.get(system)) for place, system in enumerate(systems)]
        figures.append(line_figure(_some(lines), "recall@k over k", "k", log_x=True, from_zero=True))
    if curve := measured.get("distractor_curve"):
        sizes = curve["distractors"]
        for k in curve["k"]:
            metric = f"recall@{k}"
            lines = [
                _line(system, place, sizes, curve.get(system, {}).get(metric)) for place, system in enumerate(systems)
            ]
            caption = f"{metric} over the number of distractors"
            figures.append(line_figure(_some(lines), caption, "distractors", log_x=True, from_zero=True))
    return figures


def strata_figures(metrics: Mapping, task: str) -> list[Figure]:
    """The first recall in every group of every stratum: a curve over popularity deciles, bars over the others."""
    metric, systems, figures = first_recall(metrics), systems_of(metrics), []
    for stratum, groups in (metrics["tasks"][task].get("strata") or {}).items():
        draw = _stratum_curve if stratum in _CURVES else _stratum_bars
        caption = f"{metric} by {stratum_name(stratum)}"
        groups = [group for group in groups if metric in group.get(MODEL, {})]
        if groups:
            figures.append(draw(groups, metric, systems, caption, stratum_name(stratum)))
    return figures


def training_figures(history: Sequence[Mapping]) -> list[Figure]:
    """Loss and temperature over the steps of training."""
    figures = []
    for group in ("loss", "temperature"):
        names = history[-1].get(group, {}) if history else {}
        steps = [entry["step"] for entry in history]
        lines = [
            Line(name, place, steps, [entry[group].get(name, float("nan")) for entry in history])
            for place, name in enumerate(names)
        ]
        if lines:
            figures.append(line_figure(lines, group, "step"))
    return figures


def index_figure(index: Mapping | None) -> Figure | None:
    """Recall of the index over its effort; nothing for an exact index, which has no effort."""
    points = (index or {}).get("curve", [])
    knobs = [knob for knob in ("leaves", "reorder") if len({point["effort"].get(knob) for point in points}) > 1]
    if not knobs:
        return None
    knob = knobs[0]
    # Of the settings with the same number of leaves, the one that re-orders as much as the index in use.
    others = {other: value for other, value in index["effort"].items() if other != knob}
    same = [point for point in points if all(point["effort"].get(other) == value for other, value in others.items())]
    same = sorted(same, key=lambda point: point["effort"][knob])
    xs = [point["effort"][knob] for point in same]
    lines = [Line("recall", 0, xs, [point["recall"] for point in same])]
    if len(xs) > 1:
        lines.append(Line("target", 1, [xs[0], xs[-1]], [index["target"]] * 2))
    label = "leaves searched" if knob == "leaves" else "candidates re-ordered"
    return line_figure(lines, f"recall@{index['k']} of the index over its effort", label, log_x=True)


def _stratum_curve(groups: Sequence[Mapping], metric: str, systems: list[str], caption: str, label: str) -> Figure:
    names = [_SHORT.get(group["group"], group["group"].removeprefix("decile ")) for group in groups]
    lines = []
    for place, system in enumerate(systems):
        found = [(x, group[system][metric]) for x, group in enumerate(groups) if metric in group.get(system, {})]
        if found:
            columns = [[value[key] for _, value in found] for key in ("value", "low", "high")]
            # Whiskers of every system would hide one another; the table has all intervals.
            sides = columns[1:] if system == MODEL else [(), ()]
            lines.append(Line(system_name(system), place, [x for x, _ in found], columns[0], *sides))
    return line_figure(lines, caption, label, from_zero=True, x_names=names)


def _stratum_bars(groups: Sequence[Mapping], metric: str, systems: list[str], caption: str, label: str) -> Figure:
    shared = [
        system for system in systems if system != MODEL and all(metric in group.get(system, {}) for group in groups)
    ]
    bars = []
    for group in groups:
        others = [(systems.index(system), group[system][metric]["value"]) for system in shared]
        bar = _bar(MODEL, systems.index(MODEL), group[MODEL][metric])
        bars.append(bar._replace(name=f"{group['group']} ({group['pairs']:,} pairs)", others=others))
    legend = [(systems.index(system), system_name(system)) for system in (MODEL, *shared)]
    return bar_figure(bars, caption, legend)


def _bar(system: str, place: int, value: Mapping) -> Bar:
    return Bar(system_name(system), place, value["value"], value["low"], value["high"])


def _line(system: str, place: int, x: Sequence[float], y: Sequence[float] | None) -> Line | None:
    return None if y is None else Line(system_name(system), place, x, y)


def _some(lines: Sequence[Line | None]) -> list[Line]:
    return [line for line in lines if line is not None]
