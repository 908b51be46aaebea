"""The question that all runs of a grid were asked, and its answers query by query."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfsage.config import Config
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.evaluation.bootstrap import resampled_sums
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.named_ranks import same_question
from tfsage.evaluation.ranks import PairRanks
from tfsage.evaluation.recall import recall_sums

Runs = Mapping[str, Mapping[int, Path]]
"""Variant → seed → run folder."""


def vectors_of(run: Path, split: str) -> Path:
    """Where evaluating a run leaves its vectors and ranks."""
    return run / "vectors" / split


class Question:
    """What all runs were asked; sums over the queries of all tasks together.

    Args:
        folder: the frozen vectors of any of the runs.
        data: what they were trained on.
        config: what they have in common: `tasks` and `evaluation` are used.
        metric: `recall` or `query_recall`.

    Attributes:
        tasks: their names.
        metrics: their names: recall at each k, then that of the tail at the first k.
        tail: `at_most` training engagements that a product of the tail has, and its `share` of the pairs.
        queries: how many there are; a query that several tasks ask about counts once.
        denominators: float [metrics, tasks, queries].
    """

    def __init__(self, folder: Path, data: PreparedData, config: Config, metric: str):
        vectors = FrozenVectors(folder)
        self._metric, self._ks = metric, config.evaluation.k
        self.tasks = vectors.tasks
        self._judgements = {task: vectors.judgements(task) for task in vectors.tasks}
        popularity = _training_engagements(data, config)
        engaged = {task: popularity[vectors.entity_type(task)][each.product] for task, each in self._judgements.items()}
        asked = np.concatenate(list(engaged.values()))
        limit = float(np.median(asked))
        self._in_tail = {task: each <= limit for task, each in engaged.items()}
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
        self.denominators = self._spread(
            {task: [bottom for _, bottom in self._task_sums(task, vectors)] for task in self._judgements}
        )

    def sums(self, folder: Path) -> np.ndarray:
        """The numerators of one run, float [metrics, tasks, queries]."""
        vectors = FrozenVectors(folder)
        for task, judgements in self._judgements.items():
            if task not in vectors.tasks or not same_question(judgements, vectors.judgements(task)):
                raise TfsageError(f"{folder}: {task} was not evaluated on the same pairs as the other runs")
        return self._spread({task: [top for top, _ in self._task_sums(task, vectors)] for task in self._judgements})

    def mean(self, sums: np.ndarray) -> np.ndarray:
        """The mean over the tasks of every metric, float [metrics]."""
        return _mean_ratio(sums.sum(axis=-1), self.denominators.sum(axis=-1))

    def means(self, sums: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Of several runs, float [n, metrics, tasks, queries]: the means [n, metrics], and [resamples, n, metrics]."""
        columns = np.concatenate([self.denominators[None], sums])
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


def _query_ids(vectors: FrozenVectors, task: str, judgements: Judgements) -> np.ndarray:
    """The id of each query of the judgements."""
    first = np.unique(judgements.query, return_index=True)[1]
    return vectors.pair_ids(task)["query_id"].to_numpy(zero_copy_only=False).astype(str)[first]


def _training_engagements(data: PreparedData, config: Config) -> dict[str, np.ndarray]:
    """How often each entity was engaged with in the training pairs of the tasks: entity type → float [entities]."""
    tasks = [task for task in config.tasks if task.source == "engagements" and task.pairs_of is None]
    totals = {kind: np.zeros(data.entity(kind).count) for kind in {task.entity_type for task in tasks}}
    for task in tasks:
        pairs = data.pairs("train", task.surface, task.query_type, task.actions, task.entity_type)
        totals[task.entity_type] += np.bincount(pairs.entity, pairs.count, minlength=len(totals[task.entity_type]))
    return totals
