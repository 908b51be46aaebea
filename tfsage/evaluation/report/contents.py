"""report.json: everything that the page shows, gathered from the run, its data and its bundle."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfsage.bundle import Bundle
from tfsage.errors import TfsageError
from tfsage.evaluation.examples import Example
from tfsage.evaluation.report.page import render_report
from tfsage.files import write_text


def write_report(
    path: Path, run: Path, data: Path, metrics: Mapping, examples: Mapping[str, Sequence[Example]]
) -> None:
    """Writes the report of an evaluation: an HTML file, and the same as JSON beside it.

    Args:
        path: of the HTML file.
        run: the run folder; its history, serving.json and the index of its bundle are shown where they are there.
        data: the prepared folder; its report.json is shown if it is there.
        metrics: what metrics.json says.
        examples: of each task.
    """
    report = gather_report(run, data, metrics, examples)
    write_text(path.with_suffix(".json"), json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_text(path, render_report(report))


def gather_report(run: Path, data: Path, metrics: Mapping, examples: Mapping[str, Sequence[Example]]) -> dict:
    """What report.json says.

    Returns:
        title: of the run. alarms: {"task", "alarm"} each. metrics: metrics.json itself. examples: for each task
        {"query", "recall", "relevant", "returned": [{"title", "relevant"}]}. history: one mapping per epoch. data:
        what preparation reported. index: the bundle's `IndexSummary`, or None. serving: serving.json, or None.
    """
    suffix = "" if metrics["split"] == "test" else f"_{metrics['split']}"
    history = run / "history.jsonl"
    lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
    return {
        "format": 1,
        "title": run.resolve().name,
        "alarms": alarms(metrics),
        "metrics": metrics,
        "examples": {task: [_described(example) for example in found] for task, found in examples.items()},
        "history": [json.loads(line) for line in lines],
        "data": _json(data / "report.json") or {},
        "index": _index(run / "bundle"),
        "serving": _json(run / f"serving{suffix}.json"),
    }


def load_report(run: Path) -> dict | None:
    """The report of a run on its test pairs, or None if it has none."""
    return _json(run / "report.json")


def index_facts(bundle: Bundle) -> dict | None:
    """What report.json says of the index of a bundle: its `IndexSummary`, or None while it has no index."""
    index = bundle.manifest.index
    return index and index.model_dump(mode="json")


def serving_of(run: Path, bundle: Bundle) -> dict | None:
    """serving.json of a run, or None where the loss of serving was not measured with a bundle of this very space."""
    serving = _json(run / "serving.json")
    return serving if serving and serving["bundle"] == bundle.manifest.space_id else None


def alarms(metrics: Mapping) -> list[dict[str, str]]:
    """Every alarm of every task, as {"task", "alarm"}."""
    found = []
    for name, task in metrics["tasks"].items():
        said = list(task.get("alarms") or [])
        if hubs := (task.get("hubness") or {}).get("alarm"):
            said.append(hubs)
        if task["collapsed"] and not task.get("alarms"):
            cosine = max(task["mean_cosine"].values())
            said.append(f"the embedding has collapsed: two vectors have a mean cosine of {cosine:.3f}; train again")
        found += [{"task": name, "alarm": each} for each in dict.fromkeys(said)]
    return found


def _described(example: Example) -> dict:
    returned = [{"title": title, "relevant": relevant} for title, relevant in example.returned]
    return {**example._asdict(), "returned": returned}


def _index(folder: Path) -> dict | None:
    try:
        return index_facts(Bundle.open(folder))
    except TfsageError:
        return None


def _json(path: Path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
