"""What lies behind a headline recall: ranks under ties, recall over the size of the question, recall by stratum."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfsage.config import EvaluationConfig
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks, Ranks
from tfsage.evaluation.recall import group_recall_sums
from tfsage.evaluation.strata import Stratum
from tfsage.evaluation.summary import Summary

CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""The k of the recall curve, as far as there are candidates."""


def describe_ranks(ranks: Ranks, weight: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """How much ties leave open.

    Args:
        ranks: of the pairs.
        weight: float64 [pairs].
        ks: of the recalls.

    Returns:
        median_minimum, median_expected, median_maximum: the median rank over pairs if all ties are won, broken at
            random, lost. tied: the share of pairs that tie with any competitor. recall@k_minimum, recall@k_maximum:
            engagement-weighted recall if all ties are won (minimum rank) and lost (maximum rank).
    """
    share = weight / weight.sum()
    bounds = {"minimum": ranks.minimum, "expected": ranks.expected, "maximum": ranks.maximum}
    described = {f"median_{name}": float(np.median(rank)) for name, rank in bounds.items()}
    described["tied"] = float((ranks.equal > 0).mean())
    for k in ks:
        for name in ("minimum", "maximum"):
            described[f"recall@{k}_{name}"] = float(share @ (bounds[name] <= k))
    return described


def recall_curve(ranks: Mapping[str, PairRanks], judgements: Judgements) -> dict[str, list]:
    """Engagement-weighted recall of every system over "k"."""
    ks = [k for k in CURVE if k <= len(judgements.distractors)]
    share = judgements.weight / judgements.weight.sum()
    return {"k": ks} | {name: [float(share @ each.pair.hits(k)) for k in ks] for name, each in ranks.items()}


def distractor_curve(ranks: Mapping[str, PairRanks], judgements: Judgements, ks: Sequence[int]) -> dict:
    """Engagement-weighted recall@k of every system over the number of "distractors": every point exact."""
    share = judgements.weight / judgements.weight.sum()
    return {"distractors": list(judgements.sizes), "k": list(ks)} | {
        name: {f"recall@{k}": (each.nested.hits(k) @ share).tolist() for k in ks} for name, each in ranks.items()
    }


def strata_metrics(
    ranks: Mapping[str, PairRanks], judgements: Judgements, strata: Mapping[str, Stratum], config: EvaluationConfig
) -> dict[str, list[dict]]:
    """For each stratum its groups: "group", "pairs", "queries", "share" (of the pairs) and recall@k of every system."""
    return {
        name: [_group(*group, ranks, judgements, config) for group in each.groups()] for name, each in strata.items()
    }


def _group(
    name: str, pairs: np.ndarray, ranks: Mapping[str, PairRanks], judgements: Judgements, config: EvaluationConfig
) -> dict:
    systems = {system: group_recall_sums(each, judgements, pairs, config.k) for system, each in ranks.items()}
    summary = Summary(systems, config.bootstrap, config.seed)
    return {
        "group": name,
        "pairs": len(pairs),
        "queries": len(np.unique(judgements.query[pairs])),
        "share": len(pairs) / len(judgements.query),
        **{system: summary.values(system) for system in systems},
    }
