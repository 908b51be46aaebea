import numpy as np
import pytest

from tests.evaluation.worlds import as_counts, make_judgements, ranks_by_loops
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import Ranks, rank_rows, rank_static


def test_expected_hit_under_ties():
    """O10: k = 2, the positive scores .5."""
    for negatives, expected in (
        ([0.9, 0.8, 0.5, 0.5, 0.1], 0.0),
        ([0.9, 0.5, 0.5, 0.5, 0.5], 0.2),
        ([0.5] * 5, 1 / 3),
    ):
        scores = np.array([0.5, *negatives])
        judgements = Judgements(np.zeros(1, int), np.zeros(1, int), np.ones(1), 6, np.arange(6))
        assert rank_static(scores, judgements).pair.hits(2) == pytest.approx([expected], abs=1e-12)


def test_ranks_as_minimum_expected_and_maximum():
    ranks = Ranks(greater=np.array([3, 0]), equal=np.array([4, 0]))
    assert ranks.minimum.tolist() == [4, 1]
    assert ranks.maximum.tolist() == [8, 1]
    assert ranks.expected.tolist() == [6.0, 1.0]


def test_expected_hit_is_the_mean_over_orders_of_the_tied():
    """The formula against every place that the positive can have among its equals."""
    for greater in range(5):
        for equal in range(5):
            for k in range(1, 10):
                places = greater + 1 + np.arange(equal + 1)
                assert Ranks(np.array([greater]), np.array([equal])).hits(k)[0] == pytest.approx((places <= k).mean())


@pytest.mark.parametrize("seed", range(4))
def test_rows_equal_a_double_loop(seed):
    judgements = make_judgements(seed)
    scores = np.random.default_rng(seed).integers(0, 6, (judgements.queries, judgements.products)).astype(np.float32)
    expected = ranks_by_loops(lambda q, p: float(scores[q, p]), judgements)
    assert expected[:, 1].sum() > 0, "the oracle must meet ties"
    np.testing.assert_array_equal(as_counts(rank_rows((row.copy() for row in scores), judgements, "")), expected)


@pytest.mark.parametrize("seed", range(4))
def test_static_equals_a_double_loop(seed):
    judgements = make_judgements(seed)
    scores = np.random.default_rng(seed).integers(0, 6, judgements.products).astype(np.float64)
    expected = ranks_by_loops(lambda q, p: scores[p], judgements)
    np.testing.assert_array_equal(as_counts(rank_static(scores, judgements)), expected)


def test_a_score_that_is_not_a_number_is_refused():
    """NaN compares false to everything: uncaught, such a positive would rank first."""
    judgements = make_judgements()
    scores = np.zeros((judgements.queries, judgements.products))
    scores[2, judgements.product[0]] = np.nan
    with pytest.raises(ValueError, match="query 2"):
        rank_rows((row.copy() for row in scores), judgements, "")
    with pytest.raises(ValueError, match="finite"):
        rank_static(scores[2], judgements)


def test_a_row_too_few_or_too_many_is_refused():
    judgements = make_judgements()
    for count in (judgements.queries - 1, judgements.queries + 1):
        with pytest.raises(ValueError, match="zip"):
            rank_rows((np.zeros(judgements.products) for _ in range(count)), judgements, "")
