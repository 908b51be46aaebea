"""One task, from vectors and judgements to its metrics: arrays in, numbers out."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfsage.config import EvaluationConfig
from tfsage.evaluation.breakdown import describe_ranks, distractor_curve, recall_curve, strata_metrics
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.fusion import dense_rows, fused_rows
from tfsage.evaluation.graded import Grades, graded_metrics, with_graded
from tfsage.evaluation.hubness import concentration, hub_alarm, mean_cosine, occurrences
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks, rank_rows
from tfsage.evaluation.recall import recall_sums
from tfsage.evaluation.strata import Stratum
from tfsage.evaluation.summary import Summary
from tfsage.index.brute_force import BruteForceIndex

MODEL = "model"
FUSION = "fusion"

COLLAPSED_COSINE = 0.99
"""Vectors whose mean cosine with one another is above this hardly tell anything apart."""

HUB_K = 10
HUB_QUERIES = 10_000

Ranker = Callable[[Judgements], PairRanks]
"""Ranks the products of any question about the same queries."""

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
    baselines: Mapping[str, Ranker],
    lexical: LexicalRows | None = None,
    popularity: np.ndarray | None = None,
    strata: Mapping[str, Stratum] | None = None,
    grades: Grades | None = None,
    named: Mapping[str, PairRanks] | None = None,
    state: Path | None = None,
) -> TaskResult:
    """Everything that metrics.json says of one task.

    Args:
        queries: float32 [Q, d], unit.
        products: float32 [products, d], unit; may be memory-mapped.
        judgements: the pairs and their candidates.
        config: `k`, `bootstrap`, `seed` and `fuse_bm25` are used.
        baselines: how each baseline ranks.
        lexical: scores to fuse with, when `fuse_bm25` asks for it.
        popularity: float [products], for the popularity ranker whose hubness stands beside the model's.
        strata: the groups of pairs whose recall is told apart.
        grades: what people judged, for nDCG.
        named: the ranks of rankings that came from elsewhere. They stand beside the baselines, except where grades ask
            about further pairs.
        state: a file from which a killed ranking by the model goes on (see `rank_dense`).
    """
    rankers: dict[str, Ranker] = {MODEL: partial(rank_dense, queries, products, state=state), **baselines}
    if config.fuse_bm25 and lexical is not None:
        rankers[FUSION] = lambda asked: rank_rows(
            fused_rows(dense_rows(queries, products), lexical()), asked, "Ranking with BM25 fused in"
        )
    ranks = {name: rank(judgements) for name, rank in rankers.items()} | dict(named or {})
    hubness = _hubness(queries, products, judgements, popularity, config.seed)
    cosine = {"queries": mean_cosine(queries), "products": mean_cosine(products)}
    alarms = [alarm for alarm in (_collapse_alarm(cosine), hubness["alarm"]) if alarm]
    metrics = {
        "pairs": len(judgements.query),
        "queries": judgements.queries,
        "engagements": float(judgements.weight.sum()),
        **recall_metrics(ranks, judgements, config),
        "ranks": {name: describe_ranks(each.pair, judgements.weight, config.k) for name, each in ranks.items()},
        "recall_curve": recall_curve(ranks, judgements),
        "distractor_curve": distractor_curve(ranks, judgements, config.k),
        "strata": strata_metrics(ranks, judgements, strata or {}, config),
        "hubness": hubness,
        "mean_cosine": cosine,
        "collapsed": _collapse_alarm(cosine) is not None,
        "alarms": alarms,
    }
    if grades is not None and (grades.grade > 0).any():
        asked = with_graded(judgements, grades)
        metrics["graded"] = graded_metrics({name: rank(asked) for name, rank in rankers.items()}, asked, grades, config)
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
    alarm = hub_alarm(HUB_K, count, hubness[MODEL], hubness["engaged_products"], hubness.get("popularity"))
    return hubness | {"alarm": alarm}


def _collapse_alarm(cosine: Mapping[str, float]) -> str | None:
    for what, value in cosine.items():
        if value > COLLAPSED_COSINE:
            return (
                f"the vectors of the {what} are nearly all the same (mean cosine {value:.3f}): the space has collapsed"
            )
    return None
