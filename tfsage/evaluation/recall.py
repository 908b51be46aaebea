"""Recall in three ways, each as a sum per query over a sum per query, so that queries can be resampled."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks


class QuerySums(NamedTuple):
    """A metric is Σ numerator / Σ denominator over queries; float64 [Q] each."""

    numerator: np.ndarray
    denominator: np.ndarray


def recall_sums(ranks: PairRanks, judgements: Judgements, ks: Sequence[int]) -> dict[str, QuerySums]:
    """Every recall metric of one system, by name.

    recall@k: the engagement-weighted share of pairs whose product is within the top k of C~ ∪ {y} (ItemSage §4.1.1).
    macro_recall@k: the mean over queries of that share, so that every query counts the same.
    query_recall@k: the mean over queries of (relevant products within the top k of the catalog) / (relevant products).
    """
    query, weight = judgements.query, judgements.weight
    weight_of_query = np.bincount(query, weight)
    pairs_of_query = np.bincount(query)
    ones = np.ones(judgements.queries)
    metrics = {}
    for k in ks:
        engaged = np.bincount(query, weight * ranks.pair.hits(k))
        found = np.bincount(query, ranks.catalog.hits(k))
        metrics[f"recall@{k}"] = QuerySums(engaged, weight_of_query)
        metrics[f"macro_recall@{k}"] = QuerySums(engaged / weight_of_query, ones)
        metrics[f"query_recall@{k}"] = QuerySums(found / pairs_of_query, ones)
    return metrics


def group_recall_sums(
    ranks: PairRanks, judgements: Judgements, pairs: np.ndarray, ks: Sequence[int]
) -> dict[str, QuerySums]:
    """recall@k over some of the pairs (int64 [m]) alone, as sums over the queries that have any of them."""
    _, query = np.unique(judgements.query[pairs], return_inverse=True)
    weight = judgements.weight[pairs]
    total = np.bincount(query, weight)
    return {f"recall@{k}": QuerySums(np.bincount(query, weight * ranks.pair.hits(k)[pairs]), total) for k in ks}
