"""Metrics of classification with intervals, from predictions that were made out of fold."""

import numpy as np

from tfsage.evaluation.bootstrap import interval, resampled_sums

METRICS = ("accuracy", "macro_f1", "macro_precision", "top_k")


def label_sums(probabilities: np.ndarray, labels: np.ndarray, units: np.ndarray, k: int) -> np.ndarray:
    """What the metrics are ratios of, summed over the rows of each unit.

    Args:
        probabilities: float [n, classes].
        labels: int [n], the true ones.
        units: int [n] from 0 on: rows that rise and fall together in the bootstrap.
        k: of top-k accuracy. Ties go to the label with the lower number.

    Returns:
        float64 [units, 3 * classes + 2]: by class how many rows have it, are said to have it, and both; then rows
        whose label is among the k most probable, and rows.
    """
    classes = probabilities.shape[1]
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    said, right = best[:, 0], best[:, 0] == labels
    sums = np.zeros((units.max() + 1, 3 * classes + 2))
    np.add.at(sums, (units, labels), 1)
    np.add.at(sums, (units, classes + said), 1)
    np.add.at(sums, (units[right], 2 * classes + labels[right]), 1)
    np.add.at(sums[:, -2], units, (best == labels[:, None]).any(axis=1))
    np.add.at(sums[:, -1], units, 1)
    return sums


def metrics_of(sums: np.ndarray) -> np.ndarray:
    """The metrics of sums over all rows, in the order of `METRICS`.

    accuracy is top-1 accuracy. macro_f1 and macro_precision are means over the labels that occur; a label that is
    never predicted has precision 0.

    Args:
        sums: float [..., 3 * classes + 2].

    Returns:
        float64 [..., 4].
    """
    have, said, both = np.split(sums[..., :-2], 3, axis=-1)
    occurs = have > 0
    present = occurs.sum(axis=-1)
    f1 = np.where(occurs, 2 * both / np.maximum(have + said, 1), 0).sum(axis=-1) / present
    precision = np.where(occurs, both / np.maximum(said, 1), 0).sum(axis=-1) / present
    return np.stack([both.sum(axis=-1) / sums[..., -1], f1, precision, sums[..., -2] / sums[..., -1]], axis=-1)


def compare(sums: dict[str, np.ndarray], resamples: int, seed: int) -> dict[str, dict]:
    """Every system's metrics, with its differences from every other.

    Args:
        sums: of each system, from `label_sums`; of the same rows and units.
        resamples: draws of units with replacement, the same for all systems, so that differences are paired.
        seed: of the draws.

    Returns:
        system → metric → {"value", "low", "high"}, and "differences": other system → metric → {"difference", "low",
        "high"}, this one minus the other.
    """
    values = {name: metrics_of(own.sum(axis=0)) for name, own in sums.items()}
    draws = {name: metrics_of(resampled_sums(own, resamples, seed)) for name, own in sums.items()}
    systems = {}
    for name in sums:
        systems[name] = _with_limits("value", values[name], draws[name])
        systems[name]["differences"] = {
            other: _with_limits("difference", values[name] - values[other], draws[name] - draws[other])
            for other in sums
            if other != name
        }
    return systems


def _with_limits(what: str, values: np.ndarray, draws: np.ndarray) -> dict[str, dict]:
    limits = [interval(draws[:, place]) for place in range(len(METRICS))]
    return {
        metric: {what: float(value), "low": low, "high": high}
        for metric, value, (low, high) in zip(METRICS, values, limits, strict=True)
    }
