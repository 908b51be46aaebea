import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements
from tfsage.evaluation.judgements import Judgements, choose_distractors, hashed_order

IDS = [f"product {number}" for number in range(500)]


def test_distractors_depend_on_ids_not_on_places():
    permutation = np.random.default_rng(0).permutation(500)
    here = {IDS[row] for row in choose_distractors(IDS, 80, seed=3)}
    moved = [IDS[row] for row in permutation]
    there = {moved[row] for row in choose_distractors(moved, 80, seed=3)}
    assert len(here) == 80
    assert here == there


def test_distractors_are_nested_and_ascending():
    few, many = choose_distractors(IDS, 50, seed=3), choose_distractors(IDS, 200, seed=3)
    assert set(few) < set(many)
    assert (np.diff(many) > 0).all()


def test_another_seed_draws_other_distractors():
    one, other = choose_distractors(IDS, 100, seed=1), choose_distractors(IDS, 100, seed=2)
    overlap = len(set(one) & set(other))
    assert 5 <= overlap <= 40, "two independent draws of 100 from 500 share about 20"


def test_a_small_catalog_is_taken_whole():
    np.testing.assert_array_equal(choose_distractors(IDS, 1_000_000, seed=1), np.arange(500))


def test_hashed_order_takes_every_id_once():
    np.testing.assert_array_equal(np.sort(hashed_order(IDS, 7)), np.arange(500))


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
