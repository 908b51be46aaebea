"""From sums per query to the numbers of the report: values, intervals, and paired differences between systems."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfsage.evaluation.bootstrap import interval, resampled_sums, wilson
from tfsage.evaluation.recall import QuerySums

SystemSums = Mapping[str, QuerySums]
"""The metrics of one system, by name, over the queries of one task."""


class Summary:
    """Values, intervals and paired differences of several systems on the same queries.

    Args:
        systems: the metrics of each system; all systems have the same metrics and denominators.
        resamples: bootstrap draws of queries.
        seed: of the draws.
    """

    def __init__(self, systems: Mapping[str, SystemSums], resamples: int, seed: int):
        first = next(iter(systems.values()))
        self.systems = list(systems)
        self._metrics = list(first)
        self._queries = len(next(iter(first.values())).denominator)
        columns, place = [], {}
        for metric, sums in first.items():
            place[metric] = len(columns)
            columns.append(sums.denominator)
        for system, metrics in systems.items():
            for metric, sums in metrics.items():
                place[system, metric] = len(columns)
                columns.append(sums.numerator)
        matrix = np.stack(columns, axis=1)
        totals = np.vstack([matrix.sum(axis=0), resampled_sums(matrix, resamples, seed)])
        # Row 0 is the sample itself, the others are draws.
        self._values = {
            (system, metric): totals[:, place[system, metric]] / totals[:, place[metric]]
            for system in systems
            for metric in self._metrics
        }

    def values(self, system: str) -> dict[str, dict]:
        """Each metric as {value, low, high, queries}.

        Where every query is a hit, or none is, all draws are alike; the interval is then that of Wilson for as many
        independent queries, since a few of them prove little.
        """
        described = {metric: self._describe("value", self._values[system, metric]) for metric in self._metrics}
        for each in described.values():
            if each["low"] == each["high"] and (share := round(each["value"], 12)) in (0.0, 1.0):
                low, high = wilson(share, self._queries)
                each |= {"low": min(low, each["value"])} if share else {"high": max(high, each["value"])}
        return described

    def differences(self, system: str, others: Sequence[str]) -> dict[str, dict]:
        """For each other system, each metric as {difference, low, high, queries}: `system` minus the other, paired."""
        return {
            other: {
                metric: self._describe("difference", self._values[system, metric] - self._values[other, metric])
                for metric in self._metrics
            }
            for other in others
        }

    def _describe(self, name: str, values: np.ndarray) -> dict:
        low, high = interval(values[1:])
        return {name: float(values[0]), "low": low, "high": high, "queries": self._queries}


def averaged(runs: Sequence[SystemSums]) -> dict[str, QuerySums]:
    """The mean of the same system over several runs (seeds), query by query.

    The denominators are those of the queries, hence equal, so the ratio of the mean sums is the mean of the ratios.
    """
    return {
        metric: QuerySums(np.mean([run[metric].numerator for run in runs], axis=0), sums.denominator)
        for metric, sums in runs[0].items()
    }
