"""Graded relevance: how well a ranking of the catalog agrees with the grades that people gave, as nDCG.

nDCG itself is computed by ir-measures (trec_eval's form: linear gains, discount log2(rank + 1), the ideal over all the
grades of a query). A product without a grade counts as not relevant.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import ir_measures
import numpy as np

from tfsage.config import EvaluationConfig
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks, Ranks, grouped
from tfsage.evaluation.recall import QuerySums
from tfsage.evaluation.summary import Summary

LEVELS = 1000
"""Grades are told to ir-measures, which wants integers, in so many steps up to the highest: nDCG does not depend on
their unit."""


class Grades(NamedTuple):
    """Judged pairs. query: int64 [m], rows of the judgements' queries. product: int64 [m]. grade: float64 [m], from 0.

    A (query, product) occurs once.
    """

    query: np.ndarray
    product: np.ndarray
    grade: np.ndarray


def with_graded(judgements: Judgements, grades: Grades) -> Judgements:
    """The same question with the graded pairs beside the engaged ones, in the order of `np.unique` of their keys.

    Every product with a grade above 0 then has a rank among the whole catalog (`PairRanks.catalog`), whatever it is
    ranked by.
    """
    relevant = grades.grade > 0
    keys = np.concatenate([_keys(judgements, judgements), _keys(grades, judgements)[relevant]])
    query, product = np.divmod(np.unique(keys), judgements.products)
    return replace(judgements, query=query, product=product, weight=np.ones(len(query)))


def graded_metrics(ranks: Mapping[str, PairRanks], asked: Judgements, grades: Grades, config: EvaluationConfig) -> dict:
    """nDCG@k of every system, the mean over the queries that have a grade above 0, with its bootstrap interval.

    Args:
        ranks: of every system, to the question `asked`.
        asked: what `with_graded` made.
        grades: at least one above 0.
        config: `k`, `bootstrap` and `seed` are used; the seed also breaks ties, since nDCG is of one order.

    Returns:
        For each system, "ndcg@k" → {"value", "low", "high", "queries"}.
    """
    relevant = grades.grade > 0
    grades = Grades(*[column[relevant] for column in grades])
    place = np.searchsorted(_keys(asked, asked), _keys(grades, asked))
    systems = {}
    for name, each in ranks.items():
        of_graded = Ranks(each.catalog.greater[place], each.catalog.equal[place])
        systems[name] = ndcg_sums(of_graded, grades, config.k, config.seed)
    summary = Summary(systems, config.bootstrap, config.seed)
    return {name: summary.values(name) for name in systems}


def ndcg_sums(ranks: Ranks, grades: Grades, ks: tuple[int, ...], seed: int) -> dict[str, QuerySums]:
    """nDCG@k of each query that has a grade, as sums per query: the query's nDCG over 1.

    Args:
        ranks: of the graded products, among the whole catalog.
        grades: all above 0.
        ks: cut-offs.
        seed: of the draw that breaks ties.
    """
    positions = drawn_positions(ranks, grades.query, seed)
    queries, query = np.unique(grades.query, return_inverse=True)
    levels = np.maximum(np.rint(grades.grade * (LEVELS / grades.grade.max())), 1).astype(int)
    rows_of = grouped(query, len(queries))
    relevance, returned = {}, {}
    for place in range(len(queries)):
        rows = rows_of(place)
        relevance[str(place)] = {f"graded {row}": int(levels[row]) for row in rows}
        # Whatever stands between the graded products has no grade; only its place matters.
        order = {int(positions[row]): f"graded {row}" for row in rows if positions[row] <= max(ks)}
        depth = max(order, default=1)
        returned[str(place)] = {order.get(at, f"other {at}"): float(-at) for at in range(1, depth + 1)}
    values = {k: np.zeros(len(queries)) for k in ks}
    measures = {ir_measures.nDCG @ k: k for k in ks}
    for found in ir_measures.iter_calc(list(measures), relevance, returned):
        values[measures[found.measure]][int(found.query_id)] = found.value
    return {f"ndcg@{k}": QuerySums(values[k], np.ones(len(queries))) for k in ks}


def drawn_positions(ranks: Ranks, query: np.ndarray, seed: int) -> np.ndarray:
    """int64 [pairs]: one place from 1 for each, ties broken by a seeded draw; no two of a query share a place."""
    draw = np.random.default_rng(seed).random((2, len(query)))
    wanted = ranks.minimum + (draw[0] * (ranks.equal + 1)).astype(np.int64)
    order = np.lexsort((draw[1], wanted, query))
    starts = np.concatenate([[0], np.flatnonzero(np.diff(query[order])) + 1, [len(query)]])
    positions = np.empty(len(query), np.int64)
    for start, stop in zip(starts[:-1], starts[1:], strict=True):
        rows, step = order[start:stop], np.arange(stop - start)
        # Two that drew the same place: the second takes the next.
        positions[rows] = np.maximum.accumulate(wanted[rows] - step) + step
    return positions


def _keys(pairs: Judgements | Grades, judgements: Judgements) -> np.ndarray:
    return pairs.query.astype(np.int64) * judgements.products + pairs.product
