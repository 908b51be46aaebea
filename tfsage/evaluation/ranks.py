"""Ranks of engaged products, exact and safe under ties.

A rank is kept as two counts, because a tie has no single rank: how many competitors score higher, and how many the
same. Dense vectors, where speed matters, have a module of their own (`dense_ranks`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
    """Both ranks of every pair.

    pair: among the distractors, without the query's other positives (ItemSage §4.1.1).
    catalog: among the whole catalog, the query's other positives included; for recall per query.
    """

    pair: Ranks
    catalog: Ranks


class Counts:
    """Competitors that score higher (`greater`) and at least as high (`least`), int64 [pairs] each."""

    def __init__(self, pairs: int):
        self.greater = np.zeros(pairs, np.int64)
        self.least = np.zeros(pairs, np.int64)


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
    counts = Counts(len(score)), Counts(len(score))
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
            for count, candidates in zip(counts, (judgements.distractors, judgements.others), strict=True):
                among = row[candidates]
                for pair in pairs:
                    count.greater[pair] = np.count_nonzero(among > score[pair])
                    count.least[pair] = np.count_nonzero(among >= score[pair])
            bar.advance(task)
    return combine(judgements, score, *counts, tolerance=0.0)


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
    barred_query, barred_product = judgements.barred
    barred_of = grouped(barred_query, judgements.queries)
    counts = []
    for candidates in (judgements.distractors, judgements.others):
        count = Counts(len(score))
        ordered = np.sort(scores[candidates])
        count.greater += len(ordered) - np.searchsorted(ordered, score, side="right")
        count.least += len(ordered) - np.searchsorted(ordered, score, side="left")
        competes = np.zeros(judgements.products, bool)
        competes[candidates] = True
        for pair, query in enumerate(judgements.query):
            barred = barred_product[barred_of(query)]
            among = scores[barred[competes[barred]]]
            count.greater[pair] -= np.count_nonzero(among > score[pair])
            count.least[pair] -= np.count_nonzero(among >= score[pair])
        counts.append(count)
    return combine(judgements, score, *counts, tolerance=0.0)


def combine(
    judgements: Judgements, score: np.ndarray, distractors: Counts, others: Counts, tolerance: float
) -> PairRanks:
    """Ranks from the counts among distractors and among the rest of the catalog, neither with any barred product.

    Args:
        score: float [pairs], of the pair's own product; it decides among the positives of one query.
        tolerance: scores that differ by no more than this tie.
    """
    greater = distractors.greater + others.greater
    equal = distractors.least + others.least - greater
    pairs_of = grouped(judgements.query, judgements.queries)
    for query in np.flatnonzero(np.bincount(judgements.query) > 1):
        pairs = pairs_of(query)
        lead = score[pairs][None, :] - score[pairs][:, None]
        greater[pairs] += (lead > tolerance).sum(1)
        equal[pairs] += (np.abs(lead) <= tolerance).sum(1) - 1
    return PairRanks(
        pair=Ranks(distractors.greater, distractors.least - distractors.greater), catalog=Ranks(greater, equal)
    )


def grouped(group: np.ndarray, groups: int) -> Callable[[int], np.ndarray]:
    """A function from a group (0 .. groups-1) to the positions at which `group` has it."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups + 1))
    return lambda wanted: order[starts[wanted] : starts[wanted + 1]]
