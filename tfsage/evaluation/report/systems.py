"""The systems of an evaluation: in which order they stand, what they are called, and where their numbers are."""

from collections.abc import Mapping

from tfsage.evaluation.measure import FUSION, MODEL

_NAMES = {
    MODEL: "this model",
    FUSION: "model + BM25",
    "bm25": "BM25",
    "sum": "sum of images",
    "popularity": "popularity",
    "random": "random",
}
_ORDER = list(_NAMES)


def system_name(system: str) -> str:
    """What a system is called for people."""
    return _NAMES.get(system, system.replace("_", " "))


def systems_of(metrics: Mapping) -> list[str]:
    """Every system of any task: model, fusion, trained baselines, then the simple ones."""
    found = dict.fromkeys(system for task in metrics["tasks"].values() for system in values_of(task))
    trained = [system for system in found if system not in _ORDER]
    order = [MODEL, FUSION, *trained, *_ORDER[2:]]
    return [system for system in order if system in found]


def values_of(task: Mapping) -> dict[str, Mapping]:
    """The metrics of every system of one task."""
    found = {MODEL: task, FUSION: task.get(FUSION)} | task.get("baselines", {})
    return {system: values for system, values in found.items() if values}


def headline_metrics(metrics: Mapping) -> list[str]:
    """recall and query_recall at every k."""
    return [f"{metric}@{k}" for metric in ("recall", "query_recall") for k in metrics["k"]]


def first_recall(metrics: Mapping) -> str:
    """The metric that charts are about where there is room for one."""
    return f"recall@{metrics['k'][0]}"
