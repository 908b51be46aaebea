"""Filtered search is what brute force over the allowed products finds, however the filter lies to the query."""

import numpy as np
import pytest

from tfsage.index import BruteForceIndex, Hits
from tfsage.retrieval.searcher import Searcher

COUNT, DIMENSION = 3000, 16


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    points = np.random.default_rng(1).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def searcher(vectors) -> Searcher:
    return Searcher(BruteForceIndex(vectors), vectors)


def brute_force(vectors, query, k, allowed, excluded) -> list[int]:
    scores = vectors @ query
    left = [row for row in np.argsort(-scores, kind="stable") if allowed[row] and row not in set(excluded)]
    return left[:k]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05, 0.002])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_every_filter_gives_k_hits_and_the_right_ones(searcher, vectors, share, k):
    rng = np.random.default_rng(2)
    for query in vectors[rng.integers(0, COUNT, 5)]:
        allowed = rng.random(COUNT) < share
        excluded = rng.integers(0, COUNT, 20)
        rows, scores, _ = searcher.nearest(query, k, allowed, excluded)
        expected = brute_force(vectors, query, k, allowed, excluded)
        assert list(rows) == expected
        np.testing.assert_allclose(scores, vectors[expected] @ query, atol=1e-6)


def test_a_filter_against_the_query_is_answered_exactly(searcher, vectors):
    query = vectors[0]
    scores = vectors @ query
    # Half of the products, and of the nearest thousand none.
    allowed = scores < np.partition(scores, -1000)[-1000]
    rows, _, way = searcher.nearest(query, 10, allowed)
    assert way == "exact"
    assert list(rows) == brute_force(vectors, query, 10, allowed, ())


def test_a_filter_beside_the_query_is_answered_by_the_index(searcher, vectors):
    allowed = np.arange(COUNT) % 2 == 0
    rows, _, way = searcher.nearest(vectors[0], 10, allowed)
    assert way == "index"
    assert list(rows) == brute_force(vectors, vectors[0], 10, allowed, ())


def test_without_a_filter_excluded_products_are_made_up_for(searcher, vectors):
    first, _, _ = searcher.nearest(vectors[0], 5)
    rest, _, way = searcher.nearest(vectors[0], 5, excluded=first)
    both, _, _ = searcher.nearest(vectors[0], 10)
    assert way == "index"
    assert [*first, *rest] == list(both)


def test_fewer_than_k_are_all_there_are(searcher, vectors):
    allowed = np.zeros(COUNT, bool)
    allowed[[3, 5, 7]] = True
    assert sorted(searcher.nearest(vectors[0], 10, allowed)[0]) == [3, 5, 7]
    assert sorted(searcher.nearest(vectors[0], 10, allowed, np.array([5, 5, 6]))[0]) == [3, 7]
    assert len(searcher.nearest(vectors[0], 10, np.zeros(COUNT, bool))[0]) == 0
    assert len(searcher.nearest(vectors[0], COUNT + 5)[0]) == COUNT


def test_an_index_that_finds_too_few_is_made_up_for(vectors):
    class Lossy(BruteForceIndex):
        """Gives a tenth of what it is asked for, as an approximate index with little effort may."""

        def search(self, queries, k, effort=None):
            rows, scores = super().search(queries, k)
            rows[:, max(1, k // 10) :] = -1
            return Hits(rows, scores)

    rows, _, way = Searcher(Lossy(vectors), vectors).nearest(vectors[0], 20)
    assert way == "exact"
    assert list(rows) == brute_force(vectors, vectors[0], 20, np.ones(COUNT, bool), ())
