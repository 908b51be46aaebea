"""What the page draws as curves, as tables: for the model card, which has no pictures."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfsage.evaluation.report.systems import first_recall, system_name, systems_of
from tfsage.evaluation.report.tables import Cell, Table

_MOST_ROWS = 12


def recall_curve_table(metrics: Mapping) -> Table | None:
    """Recall of every system on every task over k."""
    return _curves(metrics, "recall@k over k", "recall_curve", "k", lambda curve, system: curve.get(system))


def distractor_curve_table(metrics: Mapping) -> Table | None:
    """The first recall of every system on every task over the number of distractors."""
    metric = first_recall(metrics)
    return _curves(
        metrics,
        f"{metric} over the number of distractors",
        "distractor_curve",
        "distractors",
        lambda curve, system: curve.get(system, {}).get(metric),
    )


def history_table(history: Sequence[Mapping]) -> Table | None:
    """Loss and temperature over the steps of training: some steps from the first to the last."""
    if not history:
        return None
    kept = np.unique(np.linspace(0, len(history) - 1, _MOST_ROWS).round().astype(int))
    names = [(group, name) for group in ("loss", "temperature") for name in history[-1].get(group, {})]
    rows = [
        [Cell(f"{entry['step']:,}"), *(_number(entry.get(group, {}).get(name)) for group, name in names)]
        for entry in (history[place] for place in kept)
    ]
    return Table("Training", ["step", *(f"{group}: {name}" for group, name in names)], rows)


def _curves(metrics: Mapping, caption: str, name: str, axis: str, values_of) -> Table | None:
    found = {task: curve for task, measured in metrics["tasks"].items() if (curve := measured.get(name))}
    if not found:
        return None
    # Tasks of different entity types have different catalogs, and so different points.
    points = sorted({point for curve in found.values() for point in curve[axis]})
    rows = []
    for task, curve in found.items():
        for system in systems_of(metrics):
            if (values := values_of(curve, system)) is not None:
                at = dict(zip(curve[axis], values, strict=True))
                rows.append([Cell(task), Cell(system_name(system)), *(_number(at.get(point)) for point in points)])
    return Table(caption, ["task", "system", *(f"{point:,}" for point in points)], rows, 2)


def _number(value: float | None) -> Cell:
    return Cell("–" if value is None else f"{value:.3f}")
