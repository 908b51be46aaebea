"""Ranks of engaged products, exact and safe under ties.

A rank is kept as two counts, because a tie has no single rank: how many competitors score higher, and how many the
same. Dense vectors, where speed matters, have a module of their own (`dense_ranks`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tfsage.console import progress
from tfsage.evaluation.judgements import Judgements


@dataclass(frozen=True)
class Ranks:
    """Ranks of the pairs of one task.

    Attributes:
        greater: int64 [pairs], competitors that score higher than the pair's product.
        equal: int64 [pairs], competitors that score the same.

    With a further axis before the pairs, so has what the methods return.
    """

    greater: np.ndarray
    equal: np.ndarray

    @property
    def minimum(self) -> np.ndarray:
        """int64 [pairs]: the rank, from 1, if every tie is won."""
        return self.greater + 1

    @property
    def maximum(self) -> np.ndarray:
        """int64 [pairs]: the rank if every tie is lost."""
        return self.greater + self.equal + 1

    @property
    def expected(self) -> np.ndarray:
        """float64 [pairs]: the mean rank when ties are broken at random."""
        return self.greater + 1 + self.equal / 2

    def hits(self, k: int) -> np.ndarray:
        """float64 [pairs]: the probability of a rank of k or better when ties are broken at random."""
        return np.clip(k - self.greater, 0, self.equal + 1) / (self.equal + 1)


class PairRanks(NamedTuple):
    """The ranks of every pair.

    pair: among the distractors, without the query's other positives (ItemSage §4.1.1).
    catalog: among the whole catalog, the query's other positives included; for recall per query.
    nested: like `pair`, among each of the nested samples of `Judgements.sizes`: int64 [sizes, pairs].
    """

    pair: Ranks
    catalog: Ranks
    nested: Ranks


class Counts:
    """Competitors that score higher (`greater`) and at least as high (`least`), int64 [sizes, pairs] each.

    Those of size s are counted at the places sizes[s - 1] .. sizes[s] - 1 of the catalog's order: what joins the
    sample before. None of them is barred.
    """

    def __init__(self, judgements: Judgements):
        self.greater = np.zeros((len(judgements.sizes), len(judgements.query)), np.int64)
        self.least = np.zeros_like(self.greater)


def rank_rows(rows: Iterable[np.ndarray], judgements: Judgements, title: str) -> PairRanks:
    """Ranks by a score that is computed for one query after the other.

    Args:
        rows: for each query in turn its scores of the whole catalog, floating [products]; each array is overwritten.
            Scores tie when they are equal to the bit.
        judgements: the pairs and their candidates.
        title: names the progress bar.

    Raises:
        ValueError: a score is NaN, or there are not as many rows as queries.
    """
    score = np.empty(len(judgements.query))
    count = Counts(judgements)
    parts = list(enumerate(pairwise((0, *judgements.sizes))))
    pairs_of = grouped(judgements.query, judgements.queries)
    barred_query, barred_product = judgements.barred
    barred_of = grouped(barred_query, judgements.queries)
    with progress() as bar:
        task = bar.add_task(title, total=judgements.queries, note="")
        for query, row in zip(range(judgements.queries), rows, strict=True):
            if np.isnan(row).any():
                raise ValueError(f"query {query}: a score is NaN")
            pairs = pairs_of(query)
            score[pairs] = row[judgements.product[pairs]]
            row[barred_product[barred_of(query)]] = -np.inf
            among = row[judgements.order]
            for pair in pairs:
                greater, least = among > score[pair], among >= score[pair]
                for size, (start, stop) in parts:
                    count.greater[size, pair] = np.count_nonzero(greater[start:stop])
                    count.least[size, pair] = np.count_nonzero(least[start:stop])
            bar.advance(task)
    return combine(judgements, score, count, tolerance=0.0)


def rank_static(scores: np.ndarray, judgements: Judgements) -> PairRanks:
    """Ranks by a score that is the same for every query, such as popularity.

    Args:
        scores: float [products], finite.
        judgements: the pairs and their candidates.

    Raises:
        ValueError: there is not one finite score per product.
    """
    if scores.shape != (judgements.products,) or not np.isfinite(scores).all():
        raise ValueError(f"expected {judgements.products} finite scores, one per product")
    score = scores[judgements.product]
    count = Counts(judgements)
    for size, (start, stop) in enumerate(pairwise((0, *judgements.sizes))):
        ordered = np.sort(scores[judgements.order[start:stop]])
        count.greater[size] = len(ordered) - np.searchsorted(ordered, score, side="right")
        count.least[size] = len(ordered) - np.searchsorted(ordered, score, side="left")
    # Every product was counted; those that are barred for the query are taken away again.
    joins = np.empty(judgements.products, np.int64)
    joins[judgements.order] = np.searchsorted(judgements.sizes, np.arange(judgements.products), side="right")
    barred_query, barred_product = judgements.barred
    barred_of = grouped(barred_query, judgements.queries)
    for pair, query in enumerate(judgements.query):
        barred = barred_product[barred_of(query)]
        lead = scores[barred] - score[pair]
        count.greater[:, pair] -= np.bincount(joins[barred[lead > 0]], minlength=len(judgements.sizes))
        count.least[:, pair] -= np.bincount(joins[barred[lead >= 0]], minlength=len(judgements.sizes))
    return combine(judgements, score, count, tolerance=0.0)


def combine(judgements: Judgements, score: np.ndarray, count: Counts, tolerance: float) -> PairRanks:
    """Ranks from the counts of what joins each nested sample.

    Args:
        judgements: the pairs and their candidates.
        score: float [pairs], of the pair's own product; it decides among the positives of one query.
        count: of competitors, none of them barred.
        tolerance: scores that differ by no more than this tie.
    """
    above = np.cumsum(count.greater, axis=0)
    nested = Ranks(above, np.cumsum(count.least, axis=0) - above)
    asked = judgements.sizes.index(len(judgements.distractors))
    greater, equal = nested.greater[-1].copy(), nested.equal[-1].copy()
    pairs_of = grouped(judgements.query, judgements.queries)
    for query in np.flatnonzero(np.bincount(judgements.query) > 1):
        pairs = pairs_of(query)
        lead = score[pairs][None, :] - score[pairs][:, None]
        greater[pairs] += (lead > tolerance).sum(1)
        equal[pairs] += (np.abs(lead) <= tolerance).sum(1) - 1
    return PairRanks(Ranks(nested.greater[asked], nested.equal[asked]), Ranks(greater, equal), nested)


def grouped(group: np.ndarray, groups: int) -> Callable[[int], np.ndarray]:
    """A function from a group (0 .. groups-1) to the positions at which `group` has it."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups + 1))
    return lambda wanted: order[starts[wanted] : starts[wanted + 1]]
