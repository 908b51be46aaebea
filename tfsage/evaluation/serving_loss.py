"""The loss of serving, from plain arrays: the recall of the lists that each step returns, beside the step before."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfsage.config import EvaluationConfig
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.recall import QuerySums
from tfsage.evaluation.summary import Summary


class Step(NamedTuple):
    """One step from exact search to what a user gets.

    name: of the step.
    lists: for each query its products, int64 [queries, depth], best first; -1 = no more.
    """

    name: str
    lists: np.ndarray


def depths(judgements: Judgements, k: int) -> np.ndarray:
    """int64 [Q]: how many products a list must have so that k are left without what never competes for its query."""
    query, _ = judgements.barred
    return k + np.bincount(query, minlength=judgements.queries)


def serving_steps(steps: Sequence[Step], judgements: Judgements, config: EvaluationConfig) -> list[dict]:
    """What every step costs.

    A pair is a hit when fewer than k products of the list stand before its own, the query's other positives and what is
    excluded for it not counted. All steps are asked about the same queries, so differences are paired.

    Args:
        steps: the exact one first; lists of at least `depths` products.
        judgements: every product of the catalog competes.
        config: `k`, `bootstrap` and `seed` are used.

    Returns:
        For each step {"step", "recall@k": {"value", "low", "high", "queries"}, "overlap@k": the mean share of the
        exact step's top k that is in its own, excluded products left out of both} and, from the second on, "lost@k":
        {"difference", "low", "high", "queries"} against the step before, below zero for a loss.
    """
    sums = {step.name: _recall_sums(step.lists, judgements, config.k) for step in steps}
    summary = Summary(sums, config.bootstrap, config.seed)
    excluded = judgements.excluded_query.astype(np.int64) * judgements.products + judgements.excluded_product
    shown = [_without(step.lists, excluded, judgements) for step in steps]
    described = []
    for place, step in enumerate(steps):
        row = {"step": step.name, **summary.values(step.name)}
        for k in config.k:
            row[f"overlap@{k}"] = _overlap(shown[place][:, :k], shown[0][:, :k])
        if place:
            lost = summary.differences(step.name, [steps[place - 1].name])[steps[place - 1].name]
            row |= {metric.replace("recall", "lost"): difference for metric, difference in lost.items()}
        described.append(row)
    return described


def _recall_sums(lists: np.ndarray, judgements: Judgements, ks: Sequence[int]) -> dict[str, QuerySums]:
    query, weight = judgements.query, judgements.weight
    barred_query, barred_product = judgements.barred
    competes = ~np.isin(_keys(lists, judgements.products), barred_query * judgements.products + barred_product)
    competes &= lists >= 0
    before = np.cumsum(competes, axis=1)
    found = lists[query] == judgements.product[:, None]
    # A product that is not in the list has everything before it.
    ahead = np.where(found.any(axis=1), before[query, found.argmax(axis=1)], lists.shape[1])
    total = np.bincount(query, weight)
    return {f"recall@{k}": QuerySums(np.bincount(query, weight * (ahead < k) * found.any(axis=1)), total) for k in ks}


def _without(lists: np.ndarray, excluded: np.ndarray, judgements: Judgements) -> np.ndarray:
    """The lists without what is excluded, except for positives, moved up."""
    positives = judgements.query.astype(np.int64) * judgements.products + judgements.product
    gone = np.isin(_keys(lists, judgements.products), np.setdiff1d(excluded, positives)) | (lists < 0)
    order = np.argsort(gone, axis=1, kind="stable")
    return np.take_along_axis(np.where(gone, -1, lists), order, axis=1)


def _overlap(lists: np.ndarray, exact: np.ndarray) -> float:
    width = exact.max(initial=0) + 1
    here, there = _keys(lists, width), _keys(exact, width)
    return float((np.isin(there, here) & (exact >= 0)).sum() / (exact >= 0).sum())


def _keys(lists: np.ndarray, products: int) -> np.ndarray:
    """A number for each (query, product); places without a product have one below zero."""
    return np.where(lists < 0, -1, np.arange(len(lists))[:, None] * products + lists)
