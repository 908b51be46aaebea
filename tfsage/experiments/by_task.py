"""Two variants against each other, task by task: values, and relative differences paired by query."""

from collections.abc import Iterable, Mapping

import numpy as np

from tfsage.config import Config
from tfsage.data.prepared import PreparedData
from tfsage.evaluation.bootstrap import interval, resampled_sums
from tfsage.experiments.question import Question, Runs, vectors_of

_TINY = 1e-9


def compare_tasks(
    runs: Runs,
    reference: str,
    pairs: Iterable[tuple[str, str]],
    data: PreparedData,
    config: Config,
    metric: str,
    split: str,
) -> dict:
    """Compares evaluated runs on every task by itself.

    Recall is averaged over the seeds that both variants have, query by query; then queries are drawn with replacement,
    the same ones for all tasks and variants.

    Args:
        runs: of every variant.
        reference: the variant that says what the tasks are; the others may have been evaluated on more.
        pairs: (one, other): names of variants; those without a common seed are left out.
        data: what they were trained on.
        config: what they have in common: `tasks` and `evaluation` are used; the first k counts.
        metric: `recall` or `query_recall`.
        split: dev or test.

    Returns:
        "metric", "queries", "pairs": by task; "values": variant → task → {value, low, high, runs}; "differences":
        (one, other) → task → {difference, low, high, runs}, relative: one / other − 1.

    Raises:
        TfsageError: two runs were evaluated on different pairs.
    """
    question = Question(vectors_of(next(iter(runs[reference].values())), split), data, config, metric)
    sums = {
        name: {seed: question.sums(vectors_of(run, split))[0] for seed, run in own.items()}
        for name, own in runs.items()
        if own
    }
    compared = {}
    for one, other in pairs:
        if seeds := sorted(sums.get(one, {}).keys() & sums.get(other, {}).keys()):
            compared[one, other] = seeds
    columns = [np.mean(list(own.values()), axis=0) for own in sums.values()]
    for (one, other), seeds in compared.items():
        columns += [np.mean([sums[name][seed] for seed in seeds], axis=0) for name in (one, other)]
    weight = question.denominators[0]
    recall, draws = _recall(np.stack(columns), weight, config.evaluation.bootstrap, config.evaluation.seed)

    def of_seed(name: str, seed: int) -> np.ndarray:
        return sums[name][seed].sum(axis=-1) / weight.sum(axis=-1)

    values, differences = {}, {}
    for row, (name, own) in enumerate(sums.items()):
        seeds = [of_seed(name, seed) for seed in own]
        values[name] = _by_task(question.tasks, "value", recall[row], draws[:, row], seeds)
    for place, ((one, other), seeds) in enumerate(compared.items()):
        first = len(sums) + 2 * place
        differences[one, other] = _by_task(
            question.tasks,
            "difference",
            _relative(recall[first], recall[first + 1]),
            _relative(draws[:, first], draws[:, first + 1]),
            [_relative(of_seed(one, seed), of_seed(other, seed)) for seed in seeds],
        )
    return {
        "metric": question.metrics[0],
        "queries": dict(zip(question.tasks, (weight > 0).sum(axis=-1).tolist(), strict=True)),
        "values": values,
        "differences": differences,
    }


def _recall(sums: np.ndarray, weight: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """From numerators [n, tasks, queries] and weights [tasks, queries]: [n, tasks], and [resamples, n, tasks]."""
    columns = np.concatenate([weight[None], sums])
    drawn = resampled_sums(columns.reshape(-1, columns.shape[-1]).T, resamples, seed)
    drawn = drawn.reshape(resamples, *columns.shape[:-1])
    return sums.sum(axis=-1) / weight.sum(axis=-1), drawn[:, 1:] / drawn[:, :1]


def _by_task(tasks: list[str], name: str, value: np.ndarray, draws: np.ndarray, seeds: list[np.ndarray]) -> Mapping:
    result = {}
    for place, task in enumerate(tasks):
        low, high = interval(draws[:, place])
        of_seeds = [float(each[place]) for each in seeds]
        result[task] = {name: float(value[place]), "low": low, "high": high, "runs": of_seeds}
    return result


def _relative(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """one / other − 1, finite: two recalls of zero do not differ."""
    return np.where(one == other, 0.0, one / np.maximum(other, _TINY) - 1)
