import numpy as np
import pytest

from tests.evaluation.worlds import unit
from tfsage.evaluation.hubness import concentration, hub_alarm, mean_cosine, occurrences


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
    assert figures["max_places"] == 0.5


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


def alarm(model_counts, engaged_counts, queries=100, popularity_products=None, k=10):
    """The alarm for occurrences of each product in the model's lists and among the engaged products."""
    popularity = None
    if popularity_products is not None:
        popularity = concentration(
            np.r_[np.full(popularity_products, queries), np.zeros(1000 - popularity_products)], queries
        )
    model, engaged = (concentration(np.asarray(counts), queries) for counts in (model_counts, engaged_counts))
    return hub_alarm(k, queries, model, engaged, popularity)


def test_a_hub_that_people_do_not_engage_with_rings():
    spread, hub = np.ones(1000), np.r_[90, np.ones(910), np.zeros(89)]
    assert "90% of the top 10 lists" in alarm(hub, spread)
    assert "9 times the share" not in alarm(hub, spread) and "90.0 times" in alarm(hub, spread)


def test_a_bestseller_that_is_shown_as_often_as_it_is_bought_does_not_ring():
    """The same lists: the share alone would ring."""
    hub = np.r_[90, np.ones(910), np.zeros(89)]
    assert alarm(hub, np.r_[9, np.ones(91)]) is None


def test_an_even_spread_does_not_ring_even_where_nothing_was_engaged_with_twice():
    assert alarm(np.full(1000, 1), np.ones(1000)) is None
    assert alarm(np.r_[np.full(100, 9), np.full(900, 0.1)], np.ones(1000)) is None, (
        "no product is in a tenth of the lists"
    )


def test_lists_that_are_all_the_same_ring_beside_the_popularity_ranker():
    same = np.r_[np.full(15, 1000 / 15), np.zeros(985)]
    bestsellers = np.r_[np.full(15, 20), np.zeros(985)]
    assert "all queries get the same" in alarm(same, bestsellers, popularity_products=10)
    assert alarm(same, bestsellers) is None, "no reference, no ratio"
    assert alarm(np.ones(1000), np.ones(1000), popularity_products=10) is None


def test_few_lists_say_nothing():
    assert alarm(np.r_[9, np.zeros(999)], np.ones(1000), queries=9) is None


def test_a_catalog_hardly_longer_than_a_list_does_not_ring():
    everything = concentration(np.full(12, 80), 96)
    bestsellers = concentration(np.r_[np.full(10, 96), 0, 0], 96)
    assert hub_alarm(10, 96, everything, concentration(np.full(12, 8), 96), bestsellers) is None
