"""The paired comparison of two evaluated runs: the same pairs, the same candidates, query by query."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfsage.config import EvaluationConfig
from tfsage.errors import TfsageError
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.measure import MODEL
from tfsage.evaluation.recall import QuerySums, group_recall_sums, recall_sums
from tfsage.evaluation.summary import Summary


def compare_runs(
    run_a: str | Path, run_b: str | Path, split: str = "test", config: EvaluationConfig | None = None
) -> dict:
    """The difference of two runs, task by task and stratum by stratum: B minus A.

    Both are read from their frozen arrays, no model is needed. Queries are resampled (clusters of pairs), and every
    draw is the same for both runs, so that what makes a query hard for both cancels out.

    Args:
        run_a: the run to compare with, evaluated on `split`.
        run_b: the run in question.
        split: dev or test.
        config: `k`, `bootstrap` and `seed` are used; the defaults without it.

    Returns:
        {"runs": [a, b], "split", "tasks": {TASK: {"metrics": {METRIC: outcome}, "strata": {STRATUM: [{"group", "pairs",
        "recall@k": outcome, ...}]}}}}, where an outcome is {"a", "b", "difference", "low", "high", "queries",
        "verdict"}: the value of each run, B - A with its interval, and "better", "worse" (of B, when the interval
        excludes zero) or "undecided". A stratum is there when both runs have it.

    Raises:
        TfsageError: a run is not evaluated on this split, the runs have no task in common, or a task was evaluated
            on other pairs, distractors or exclusions.
    """
    config = config or EvaluationConfig()
    a, b = [FrozenVectors(Path(run) / "vectors" / split) for run in (run_a, run_b)]
    shared = [task for task in a.tasks if task in b.tasks]
    if not shared:
        raise TfsageError(
            f"{run_a} and {run_b}: no task in common ({', '.join(a.tasks)} and {', '.join(b.tasks)}); "
            "only runs with a task of the same name can be compared"
        )
    tasks = {}
    for task in shared:
        _require_same_question(a, b, task, (run_a, run_b))
        judgements, ranks = a.judgements(task), {"a": a.ranks(task)[MODEL], "b": b.ranks(task)[MODEL]}
        sums = {name: recall_sums(each, judgements, config.k) for name, each in ranks.items()}
        tasks[task] = {"metrics": paired_outcomes(sums, config), "strata": {}}
        strata, others = a.strata(task), b.strata(task)
        for name in (name for name in strata if name in others):
            tasks[task]["strata"][name] = [
                {
                    "group": group,
                    "pairs": len(pairs),
                    **paired_outcomes(
                        {run: group_recall_sums(each, judgements, pairs, config.k) for run, each in ranks.items()},
                        config,
                    ),
                }
                for group, pairs in strata[name].groups()
            ]
    return {"runs": [str(run_a), str(run_b)], "split": split, "tasks": tasks}


def paired_outcomes(sums: Mapping[str, Mapping[str, QuerySums]], config: EvaluationConfig) -> dict[str, dict]:
    """For each metric of systems "a" and "b" its two values, their difference with interval, and the verdict on b."""
    summary = Summary(sums, config.bootstrap, config.seed)
    a, b, differences = summary.values("a"), summary.values("b"), summary.differences("b", ["a"])["a"]
    return {
        metric: {
            "a": a[metric]["value"],
            "b": b[metric]["value"],
            **paired,
            "verdict": "better" if paired["low"] > 0 else "worse" if paired["high"] < 0 else "undecided",
        }
        for metric, paired in differences.items()
    }


def _require_same_question(a: FrozenVectors, b: FrozenVectors, task: str, runs: Sequence[str | Path]) -> None:
    one, other = a.judgements(task), b.judgements(task)
    differing = [what for what, same in _sameness(a, b, task, one, other) if not same]
    if differing:
        raise TfsageError(
            f"{runs[0]} and {runs[1]}: task {task} was evaluated with other {' and other '.join(differing)}; evaluate "
            "both on the same prepared data with the same `evaluation` section, then compare"
        )


def _sameness(a: FrozenVectors, b: FrozenVectors, task: str, one: Judgements, other: Judgements):
    yield "pairs", a.pair_ids(task).equals(b.pair_ids(task)) and np.array_equal(one.weight, other.weight)
    yield "products", a.product_ids(task) == b.product_ids(task)
    yield "distractors", np.array_equal(one.distractors, other.distractors)
    yield "exclusions", all(np.array_equal(x, y) for x, y in zip(one.barred, other.barred, strict=True))
