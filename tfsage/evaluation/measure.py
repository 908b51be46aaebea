"""One task, from vectors and judgements to its metrics: arrays in, numbers out."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from tfsage.config import EvaluationConfig
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.fusion import dense_rows, fused_rows
from tfsage.evaluation.hubness import concentration, mean_cosine, occurrences
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks, rank_rows
from tfsage.evaluation.recall import recall_sums
from tfsage.evaluation.summary import Summary
from tfsage.index.brute_force import BruteForceIndex

MODEL = "model"
FUSION = "fusion"

COLLAPSED_COSINE = 0.99
"""Vectors whose mean cosine with one another is above this hardly tell anything apart."""

CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""The k of the recall curve, as far as there are candidates."""

HUB_K = 10
HUB_QUERIES = 10_000

LexicalRows = Callable[[], Iterable[np.ndarray]]
"""Makes, for each query in turn, its scores of the whole catalog."""


class TaskResult(NamedTuple):
    """What is known of one task.

    metrics: what metrics.json says of it.
    ranks: of every system, `model` and `fusion` among them.
    """

    metrics: dict
    ranks: dict[str, PairRanks]


def measure_task(
    queries: np.ndarray,
    products: np.ndarray,
    judgements: Judgements,
    config: EvaluationConfig,
    baselines: Mapping[str, Callable[[Judgements], PairRanks]],
    lexical: LexicalRows | None = None,
    popularity: np.ndarray | None = None,
) -> TaskResult:
    """Ranks, recall with intervals, differences from the baselines, hubness, and whether the space has collapsed.

    Args:
        queries: float32 [Q, d], unit.
        products: float32 [products, d], unit; may be memory-mapped.
        judgements: the pairs and their candidates.
        config: `k`, `bootstrap`, `seed` and `fuse_bm25` are used.
        baselines: how each baseline ranks.
        lexical: scores to fuse with, when `fuse_bm25` asks for it.
        popularity: float [products], for the popularity ranker whose hubness stands beside the model's.
    """
    ranks = {MODEL: rank_dense(queries, products, judgements)}
    ranks |= {name: rank(judgements) for name, rank in baselines.items()}
    if config.fuse_bm25 and lexical is not None:
        rows = fused_rows(dense_rows(queries, products), lexical())
        ranks[FUSION] = rank_rows(rows, judgements, "Ranking with BM25 fused in")
    cosine = {"queries": mean_cosine(queries), "products": mean_cosine(products)}
    metrics = {
        "pairs": len(judgements.query),
        "queries": judgements.queries,
        "engagements": float(judgements.weight.sum()),
        **recall_metrics(ranks, judgements, config),
        "hubness": _hubness(queries, products, judgements, popularity, config.seed),
        "recall_curve": _curve(ranks, judgements),
        "mean_cosine": cosine,
        "collapsed": max(cosine.values()) > COLLAPSED_COSINE,
    }
    return TaskResult(metrics, ranks)


def recall_metrics(ranks: Mapping[str, PairRanks], judgements: Judgements, config: EvaluationConfig) -> dict:
    """The recall of every system with its interval, baselines beside, and every paired difference.

    Returns:
        the model's metrics by name, "baselines", "differences" (model minus baseline) and, where there is one,
        "fusion" with its own "differences" from the model and the baselines.
    """
    systems = {name: recall_sums(each, judgements, config.k) for name, each in ranks.items()}
    return systems_metrics(Summary(systems, config.bootstrap, config.seed))


def systems_metrics(summary: Summary) -> dict:
    """`recall_metrics`, from a summary that is already there."""
    baselines = [name for name in summary.systems if name not in (MODEL, FUSION)]
    metrics = {
        **summary.values(MODEL),
        "baselines": {name: summary.values(name) for name in baselines},
        "differences": summary.differences(MODEL, baselines),
    }
    if FUSION in summary.systems:
        differences = summary.differences(FUSION, [MODEL, *baselines])
        metrics[FUSION] = {**summary.values(FUSION), "differences": differences}
    return metrics


def nearest(
    queries: np.ndarray, products: np.ndarray, judgements: Judgements, chosen: np.ndarray, k: int
) -> np.ndarray:
    """int64 [chosen, k]: the nearest products of some queries, best first, without what is excluded; -1 = no more."""
    excluded = np.isin(judgements.excluded_query, chosen)
    barred = judgements.excluded_query[excluded] * judgements.products + judgements.excluded_product[excluded]
    surplus = int(np.bincount(judgements.excluded_query[excluded], minlength=1).max())
    rows = BruteForceIndex(products).search(queries[chosen], k + surplus).rows
    rows = np.where(np.isin(chosen[:, None] * judgements.products + rows, barred), -1, rows)
    kept_first = np.argsort(rows < 0, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, kept_first, axis=1)


def _curve(ranks: Mapping[str, PairRanks], judgements: Judgements) -> dict[str, list]:
    """Engagement-weighted recall of every system over `k`."""
    ks = [k for k in CURVE if k <= len(judgements.distractors)]
    weight = judgements.weight / judgements.weight.sum()
    return {"k": ks} | {name: [float(weight @ each.pair.hits(k)) for k in ks] for name, each in ranks.items()}


def _hubness(queries, products, judgements: Judgements, popularity: np.ndarray | None, seed: int) -> dict:
    """The model's hubness beside that of two references: the engaged products themselves, and a popularity ranker."""
    count = min(judgements.queries, HUB_QUERIES)
    chosen = np.sort(np.random.default_rng(seed).permutation(judgements.queries)[:count])
    lists = nearest(queries, products, judgements, chosen, HUB_K)
    engaged = np.bincount(judgements.product, minlength=judgements.products)
    hubness = {
        "k": HUB_K,
        "queries": count,
        MODEL: concentration(occurrences(lists, judgements.products), count),
        "engaged_products": concentration(engaged, judgements.queries),
    }
    if popularity is not None:
        most_popular = np.argsort(-popularity, kind="stable")[:HUB_K]
        lists = np.tile(most_popular, (count, 1))
        hubness["popularity"] = concentration(occurrences(lists, judgements.products), count)
    return hubness
