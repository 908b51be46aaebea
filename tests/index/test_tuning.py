"""Tuning against a fake index whose recall is a known function of its effort."""

import numpy as np
import pytest

from tests.index.clusters import clustered
from tfsage.index.base import Effort, Index
from tfsage.index.brute_force import BruteForceIndex
from tfsage.index.spec import IndexSpec
from tfsage.index.tuning import RecallMeter, tune

VECTORS = clustered(500)
QUERIES = {"query": clustered(200, seed=2)}


class Fading(Index):
    """Finds a share of the exact hits that grows with the leaves, but only with enough re-ordered candidates."""

    kind = "scann_tree"

    def __init__(self, share):
        super().__init__(len(VECTORS), 32, Effort())
        self._share, self._exact = share, BruteForceIndex(VECTORS)

    def _search(self, queries, k, effort):
        rows, scores = self._exact.search(queries, k)
        lost = np.random.default_rng(0).random(rows.shape) > self._share(effort)
        return rows, np.where(lost, np.nan, scores)


def spec(leaves):
    return IndexSpec(kind="scann_tree", leaves=leaves, reorder_dtype="bfloat16")


def test_takes_the_least_leaves_that_reach_the_target_with_something_left_for_chance():
    index = Fading(lambda effort: min(1.0, effort.leaves / 100))
    taken, curve = tune(index, spec(400), RecallMeter(VECTORS, QUERIES, 10), target=0.9)
    # At a recall of .9, three standard errors of the mean of 200 queries with 10 hits each.
    assert 0.9 + 3 * np.sqrt(0.9 * 0.1 / 2000) - 0.006 <= taken.recall <= 0.96
    assert taken.recall - 0.03 <= taken.assured <= taken.recall - 0.01
    assert 88 <= taken.effort.leaves <= 98
    assert [point.effort.leaves for point in curve] == sorted(point.effort.leaves for point in curve)
    assert len(curve) <= 20


def test_reorders_more_when_all_leaves_do_not_suffice():
    index = Fading(lambda effort: 1.0 if effort.reorder >= 300 else 0.8)
    taken, _ = tune(index, spec(16), RecallMeter(VECTORS, QUERIES, 10), target=0.95)
    assert taken.effort == Effort(leaves=1, reorder=400)


def test_an_unreachable_target_takes_the_best_and_tells_its_recall():
    index = Fading(lambda effort: 0.5)
    taken, _ = tune(index, spec(16), RecallMeter(VECTORS, QUERIES, 10), target=0.95)
    assert taken.recall == pytest.approx(0.5, abs=0.05)


def test_a_missing_hit_is_not_counted_as_row_zero():
    index = Fading(lambda effort: 0.0)
    queries = {"query": np.repeat(VECTORS[:1], 5, axis=0)}
    assert RecallMeter(VECTORS, queries, 10).measure(index, Effort()).recall == 0.0
