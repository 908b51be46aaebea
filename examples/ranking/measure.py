"""AUC and nDCG by query, with intervals over queries, paired between rankers."""

import numpy as np
from sklearn.metrics import ndcg_score, roc_auc_score

from tfsage.evaluation.bootstrap import interval, resampled_sums

METRICS = ("AUC", "nDCG")


def by_query(query: np.ndarray, label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """AUC and nDCG of each query's products, float64 [queries, 2]; labels of a query must not be all the same."""
    order = np.argsort(query, kind="stable")
    ends = np.flatnonzero(np.diff(query[order])) + 1
    return np.array([_metrics(label[rows], score[rows]) for rows in np.split(order, ends)])


def _metrics(label: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    return roc_auc_score(label, score), ndcg_score(label[None], score[None])


def with_intervals(values: np.ndarray, resamples: int = 1000, seed: int = 1) -> list[tuple[float, float, float]]:
    """(mean, low, high) of each column of float [queries, columns]; of differences too, which are then paired."""
    draws = resampled_sums(values, resamples, seed) / len(values)
    return [(float(own.mean()), *interval(drawn)) for own, drawn in zip(values.T, draws.T, strict=True)]
