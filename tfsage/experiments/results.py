"""What a grid says: every variant's mean over tasks and seeds, and its paired difference from the reference.

Recall is averaged over the seeds query by query, then queries are drawn with replacement: all tasks, variants and the
reference share each draw, and a query that several tasks ask about is drawn for all of them together.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfsage.config import Config
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.evaluation.bootstrap import interval, resampled_sums
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks
from tfsage.evaluation.recall import recall_sums

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"

Runs = Mapping[str, Mapping[int, Path]]
"""Variant → seed → run folder."""


def compare(runs: Runs, reference: str, data: PreparedData, config: Config, metric: str, split: str) -> dict:
    """Compares evaluated runs.

    Args:
        runs: of every variant, the reference among them.
        reference: the variant that the others are compared with, seed by seed.
        data: what they were trained on.
        config: what they have in common: `tasks` and `evaluation` are used.
        metric: `recall` or `query_recall`.
        split: dev or test.

    Returns:
        "metrics": names, the first decides the verdict; "tail": `at_most` training engagements that a product of the
        tail has, and its `share` of the pairs; "queries"; "variants": for each "seeds", each metric as {value, low,
        high, runs}, "differences" with {difference, low, high, runs, verdict} for each metric (not for the
        reference), "hub_share", "coverage", "temperature" and "seconds_per_step".

    Raises:
        TfsageError: the reference has no run, or two runs were evaluated on different pairs.
    """
    if not runs.get(reference):
        raise TfsageError(f"no run of {reference!r}, which the others are compared with, is done")
    question = _Question(FrozenVectors(_vectors(next(iter(runs[reference].values())), split)), data, config, metric)
    sums = {
        name: {seed: question.sums(_vectors(run, split)) for seed, run in own.items()}
        for name, own in runs.items()
        if own
    }
    # A variant is paired with the reference's runs of the same seeds.
    common = {name: sorted(own.keys() & sums[reference].keys()) for name, own in sums.items()}
    common = {name: seeds for name, seeds in common.items() if seeds}
    columns = [np.mean([sums[name][seed] for seed in seeds], axis=0) for name, seeds in common.items()]
    columns += [np.mean([sums[reference][seed] for seed in seeds], axis=0) for seeds in common.values()]
    values, draws = question.means(np.stack(columns), config.evaluation.bootstrap, config.evaluation.seed)
    variants = {}
    for place, (name, seeds) in enumerate(common.items()):
        own = {seed: question.mean(sums[name][seed]) for seed in seeds}
        variants[name] = {"seeds": seeds, **_beside(runs[name], seeds, split)}
        for column, each in enumerate(question.metrics):
            variants[name][each] = {
                "value": float(values[place, column]),
                **_limits(draws[:, place, column]),
                "runs": [float(own[seed][column]) for seed in seeds],
            }
        if name != reference:
            other, paired = place + len(common), {}
            for column, each in enumerate(question.metrics):
                of_seeds = [own[seed][column] - question.mean(sums[reference][seed])[column] for seed in seeds]
                paired[each] = difference(
                    values[place, column] - values[other, column],
                    draws[:, place, column] - draws[:, other, column],
                    of_seeds,
                )
            variants[name]["differences"] = paired
    return {
        "split": split,
        "reference": reference,
        "metrics": question.metrics,
        "queries": question.queries,
        "tail": question.tail,
        "variants": variants,
    }


def difference(value: float, draws: np.ndarray, of_seeds: Sequence[float]) -> dict:
    """A paired difference, with what it amounts to.

    It is better or worse when the interval over queries leaves zero out and every seed alone says the same: the
    interval knows nothing of how much one training differs from the next.

    Args:
        value: the difference itself.
        draws: float [resamples].
        of_seeds: that of each seed alone.
    """
    limits = _limits(draws)
    verdict = UNDECIDED
    if limits["low"] > 0 and min(of_seeds) > 0:
        verdict = BETTER
    if limits["high"] < 0 and max(of_seeds) < 0:
        verdict = WORSE
    return {"difference": float(value), **limits, "runs": [float(each) for each in of_seeds], "verdict": verdict}


class _Question:
    """What all runs were asked; sums over the queries of all tasks together."""

    def __init__(self, vectors: FrozenVectors, data: PreparedData, config: Config, metric: str):
        self._metric, self._ks = metric, config.evaluation.k
        self._judgements = {task: vectors.judgements(task) for task in vectors.tasks}
        popularity = _training_engagements(data, config)
        asked = np.concatenate([popularity[each.product] for each in self._judgements.values()])
        limit = float(np.median(asked))
        self._in_tail = {task: popularity[each.product] <= limit for task, each in self._judgements.items()}
        self.tail = {"at_most": limit, "share": float((asked <= limit).mean())}
        self.metrics = [f"{metric}@{k}" for k in self._ks] + [f"tail_{metric}@{self._ks[0]}"]
        kinds = {task.name: task.query_type for task in config.tasks}
        ids = [
            [f"{kinds[task]} {name}" for name in _query_ids(vectors, task, judgements)]
            for task, judgements in self._judgements.items()
        ]
        clusters, place = np.unique(np.concatenate(ids), return_inverse=True)
        ends = np.cumsum([len(each) for each in ids])
        self._place = dict(zip(self._judgements, np.split(place, ends[:-1]), strict=True))
        self.queries = len(clusters)
        self._denominators = self._spread(
            {task: [bottom for _, bottom in self._task_sums(task, vectors)] for task in self._judgements}
        )

    def sums(self, folder: Path) -> np.ndarray:
        """The numerators of one run, float [metrics, tasks, queries]."""
        vectors = FrozenVectors(folder)
        for task, judgements in self._judgements.items():
            if task not in vectors.tasks or not _same(judgements, vectors.judgements(task)):
                raise TfsageError(f"{folder}: {task} was not evaluated on the same pairs as the other runs")
        return self._spread({task: [top for top, _ in self._task_sums(task, vectors)] for task in self._judgements})

    def mean(self, sums: np.ndarray) -> np.ndarray:
        """The mean over the tasks of every metric, float [metrics]."""
        return _mean_ratio(sums.sum(axis=-1), self._denominators.sum(axis=-1))

    def means(self, sums: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Of several runs, float [n, metrics, tasks, queries]: the means [n, metrics], and [resamples, n, metrics]."""
        columns = np.concatenate([self._denominators[None], sums])
        drawn = resampled_sums(columns.reshape(-1, self.queries).T, resamples, seed)
        drawn = drawn.reshape(resamples, *columns.shape[:-1])
        return self.mean(sums), _mean_ratio(drawn[:, 1:], drawn[:, :1])

    def _task_sums(self, task: str, vectors: FrozenVectors) -> list[tuple[np.ndarray, np.ndarray]]:
        """(numerator, denominator) by query, of every metric."""
        judgements, ranks = self._judgements[task], vectors.ranks(task)["model"]
        found = recall_sums(ranks, judgements, self._ks)
        sums = [tuple(found[f"{self._metric}@{k}"]) for k in self._ks]
        return [*sums, self._tail_sums(judgements, ranks, self._in_tail[task])]

    def _tail_sums(self, judgements: Judgements, ranks: PairRanks, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        query, queries, k = judgements.query, judgements.queries, self._ks[0]
        if self._metric == "recall":
            weight = judgements.weight * kept
            return np.bincount(query, weight * ranks.pair.hits(k), queries), np.bincount(query, weight, queries)
        pairs = np.bincount(query, kept, queries)
        found = np.bincount(query, kept * ranks.catalog.hits(k), queries)
        return found / np.maximum(pairs, 1), (pairs > 0).astype(np.float64)

    def _spread(self, of_task: dict[str, list[np.ndarray]]) -> np.ndarray:
        """From the queries of each task to those of all: float [metrics, tasks, queries]."""
        spread = np.zeros((len(self.metrics), len(of_task), self.queries))
        for row, (task, sums) in enumerate(of_task.items()):
            spread[:, row, self._place[task]] = np.stack(sums)
        return spread


def _mean_ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Over the last axis, the tasks; one without any query of the kind is left out."""
    with np.errstate(invalid="ignore"):
        return np.nanmean(numerators / np.where(denominators > 0, denominators, np.nan), axis=-1)


def _limits(draws: np.ndarray) -> dict[str, float]:
    low, high = interval(draws)
    return {"low": low, "high": high}


def _vectors(run: Path, split: str) -> Path:
    return run / "vectors" / split


def _same(one: Judgements, other: Judgements) -> bool:
    names = ("query", "product", "weight", "distractors", "excluded_query", "excluded_product")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def _query_ids(vectors: FrozenVectors, task: str, judgements: Judgements) -> np.ndarray:
    """The id of each query of the judgements."""
    first = np.unique(judgements.query, return_index=True)[1]
    return vectors.pair_ids(task)["query_id"].to_numpy(zero_copy_only=False).astype(str)[first]


def _training_engagements(data: PreparedData, config: Config) -> np.ndarray:
    """How often each product was engaged with in the training pairs of the tasks, float [products]."""
    total = np.zeros(data.product_count)
    for task in config.tasks:
        if task.source == "engagements":
            pairs = data.pairs("train", task.surface, task.query_type, task.actions)
            total += np.bincount(pairs.product, pairs.count, minlength=data.product_count)
    return total


def _beside(runs: Mapping[int, Path], seeds: Sequence[int], split: str) -> dict[str, float]:
    """What stands beside recall: means over tasks and seeds."""
    suffix = "" if split == "test" else f"_{split}"
    metrics = [json.loads((runs[seed] / f"metrics{suffix}.json").read_text(encoding="utf-8")) for seed in seeds]
    hubs = [task["hubness"]["model"] for each in metrics for task in each["tasks"].values()]
    lines = [(runs[seed] / "history.jsonl").read_text(encoding="utf-8").splitlines() for seed in seeds]
    history = [[json.loads(line) for line in own] for own in lines]
    steps = [
        sum(value for name, value in epoch["throughput"].items() if name.startswith("seconds_"))
        for own in history
        for epoch in own
        if epoch["throughput"]
    ]
    return {
        "hub_share": float(np.mean([hub["max_share"] for hub in hubs])),
        "coverage": float(np.mean([hub["coverage"] for hub in hubs])),
        "temperature": float(np.mean([list(own[-1]["temperature"].values()) for own in history])),
        # Of the epoch that was disturbed least by whatever else the machine does.
        "seconds_per_step": min(steps, default=float("nan")),
    }
