import numpy as np
import pytest

from tests.evaluation.worlds import unit
from tfsage.evaluation.hubness import concentration, mean_cosine, occurrences


def test_a_small_world():
    """O11: the top 2 of five queries over six products."""
    lists = np.array([[0, 1], [0, 2], [0, 1], [3, 0], [0, 4]])
    counts = occurrences(lists, 6)
    assert counts.tolist() == [5, 2, 1, 1, 1, 0]
    figures = concentration(counts, 5)
    assert figures["skewness"] == pytest.approx(1.2873498607, abs=1e-9)
    assert figures["gini"] == pytest.approx(0.4666666667, abs=1e-9)
    assert figures["coverage"] == pytest.approx(0.8333333333, abs=1e-9)
    assert figures["expected_frequency"] == pytest.approx(3.2, abs=1e-9)
    assert figures["max_share"] == 1.0


def test_shares_are_of_the_lists():
    figures = concentration(np.array([11, 10, 2, 1, 0]), 100)
    assert (figures["above_10_percent"], figures["above_1_percent"]) == (1, 3)
    assert figures["max_share"] == pytest.approx(0.11)


def test_missing_neighbours_count_for_nothing():
    assert occurrences(np.array([[2, -1], [-1, -1]]), 4).tolist() == [0, 0, 1, 0]


def test_an_even_spread():
    figures = concentration(np.full(10, 3), 30)
    assert figures["skewness"] == 0.0
    assert figures["gini"] == pytest.approx(0.0, abs=1e-12)


def test_gini_is_half_the_relative_mean_difference():
    counts = np.random.default_rng(0).integers(0, 20, 50)
    pairwise = np.abs(counts[:, None] - counts[None, :]).mean()
    assert concentration(counts, 100)["gini"] == pytest.approx(pairwise / (2 * counts.mean()))


def test_mean_cosine_is_that_of_all_pairs():
    vectors = unit(np.random.default_rng(0).standard_normal((30, 5)) + 0.5)
    cosines = vectors.astype(np.float64) @ vectors.T
    assert mean_cosine(vectors) == pytest.approx(cosines[~np.eye(30, dtype=bool)].mean(), abs=1e-6)


def test_mean_cosine_tells_collapse_from_two_queries_that_differ():
    same = unit(np.ones((4, 3)))
    assert mean_cosine(same) == pytest.approx(1.0, abs=1e-6)
    assert mean_cosine(np.eye(2, dtype=np.float32)) == pytest.approx(0.0, abs=1e-6)
    assert mean_cosine(same[:1]) == 0.0
