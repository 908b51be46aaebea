from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements
from tfsage.evaluation.judgements import Judgements


def test_the_order_holds_the_distractors_first_and_every_product_once():
    judgements = make_judgements()
    np.testing.assert_array_equal(judgements.order[:35], judgements.distractors)
    np.testing.assert_array_equal(judgements.order[35:], np.setdiff1d(np.arange(60), judgements.distractors))
    remaining = judgements.order[35:][::-1]
    np.testing.assert_array_equal(replace(judgements, remaining=remaining).order[35:], remaining)
    assert judgements.sizes == (35, 60)


def test_barred_is_every_positive_and_every_exclusion_once():
    judgements = make_judgements()
    expected = set(zip(judgements.query, judgements.product, strict=True))
    expected |= set(zip(judgements.excluded_query, judgements.excluded_product, strict=True))
    query, product = judgements.barred
    assert len(query) == len(expected)
    assert set(zip(query, product, strict=True)) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": np.array([0, 2])}, "every query row"),
        ({"product": np.array([1, 9])}, "product must lie"),
        ({"query": np.array([0, 0]), "product": np.array([3, 3])}, "only once"),
        ({"weight": np.array([1.0, 0.0])}, "weights"),
        ({"weight": np.array([1.0, np.nan])}, "weights"),
        ({"weight": np.ones(3)}, "one entry per pair"),
        ({"distractors": np.array([1, 1])}, "distinct"),
        ({"distractors": np.array([1, 2]), "remaining": np.array([0, 3, 3])}, "every row of the catalog once"),
        ({"distractors": np.array([1, 2]), "remaining": np.array([0, 3, 5])}, "remaining must lie"),
        ({"distractors": np.array([1, 2]), "remaining": np.array([0, 3, -1])}, "remaining must lie"),
        ({"remaining": np.array([0])}, "every row of the catalog once"),
        ({"excluded_query": np.array([2]), "excluded_product": np.array([0])}, "excluded_query"),
        ({"excluded_query": np.array([0])}, "same length"),
    ],
)
def test_contradictions_are_refused(change, message):
    good = {
        "query": np.array([0, 1]),
        "product": np.array([1, 2]),
        "weight": np.ones(2),
        "products": 5,
        "distractors": np.arange(5),
    }
    Judgements(**good)
    with pytest.raises(ValueError, match=message):
        Judgements(**{**good, **change})
