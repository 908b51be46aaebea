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
from tfsage.evaluation.bootstrap import interval
from tfsage.experiments.question import Question, Runs, vectors_of

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"


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
    question = Question(vectors_of(next(iter(runs[reference].values())), split), data, config, metric)
    sums = {
        name: {seed: question.sums(vectors_of(run, split)) for seed, run in own.items()}
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


def _limits(draws: np.ndarray) -> dict[str, float]:
    low, high = interval(draws)
    return {"low": low, "high": high}


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
