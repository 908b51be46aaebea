import numpy as np
import pytest

from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks, Ranks
from tfsage.evaluation.recall import recall_sums


def value(sums):
    return sums.numerator.sum() / sums.denominator.sum()


@pytest.fixture
def sums():
    judgements = Judgements(
        query=np.array([0, 0, 0, 1]),
        product=np.array([0, 1, 2, 3]),
        weight=np.array([5.0, 1.0, 2.0, 4.0]),
        products=50,
        distractors=np.arange(50),
    )
    pair = Ranks(greater=np.array([0, 10, 9, 30]), equal=np.array([0, 0, 1, 0]))
    catalog = Ranks(greater=np.array([0, 12, 9, 9]), equal=np.array([0, 0, 0, 0]))
    return recall_sums(PairRanks(pair, catalog, pair), judgements, [1, 10])


def test_recall_weighs_pairs_by_engagement(sums):
    """Pair 0 is a hit, pair 2 ties for the tenth place (½), the others miss: (5 + 2·½) / 12."""
    assert value(sums["recall@10"]) == pytest.approx(6 / 12)
    assert value(sums["recall@1"]) == pytest.approx(5 / 12)


def test_macro_recall_counts_every_query_the_same(sums):
    """Query 0 has 6 of 8 engagements, query 1 has 0 of 4."""
    assert value(sums["macro_recall@10"]) == pytest.approx((6 / 8 + 0) / 2)


def test_query_recall_is_the_share_of_relevant_found_in_the_catalog(sums):
    """Query 0 finds 2 of its 3, unweighted; query 1 finds its one."""
    assert value(sums["query_recall@10"]) == pytest.approx((2 / 3 + 1) / 2)
