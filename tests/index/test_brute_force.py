"""Exact search against a full sort."""

import numpy as np

from tests.index.clusters import clustered, perturbed
from tfsage.index import BruteForceIndex, brute_force


def test_blocks_do_not_change_the_answer(monkeypatch):
    """Small blocks put the best rows of a query into different blocks, and cut the last block short."""
    vectors = clustered(1000)
    queries = perturbed(vectors, 130, noise=0.5)
    monkeypatch.setattr(brute_force, "_ROW_BLOCK", 64)
    monkeypatch.setattr(brute_force, "_QUERY_BLOCK", 32)
    rows, scores = BruteForceIndex(vectors).search(queries, 100)
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :100], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(exact, rows, axis=1), scores, atol=1e-6)
    assert all(len(set(found)) == 100 for found in rows.tolist())


def test_equal_scores_are_ordered_by_row():
    vectors = np.tile(clustered(1), (9, 1))
    assert BruteForceIndex(vectors).search(vectors[:1], 9).rows.tolist() == [list(range(9))]
