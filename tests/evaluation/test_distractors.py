import numpy as np
import pytest

from tfsage.evaluation.distractors import choose_distractors, curve_sizes, hashed_order, set_id

IDS = [f"product {number}" for number in range(500)]


def test_distractors_depend_on_ids_not_on_places():
    permutation = np.random.default_rng(0).permutation(500)
    moved = [IDS[row] for row in permutation]
    here, there = choose_distractors(IDS, 80, seed=3), choose_distractors(moved, 80, seed=3)
    assert [IDS[row] for row in here.rows] == [moved[row] for row in there.rows]
    assert [IDS[row] for row in here.remaining] == [moved[row] for row in there.remaining]
    assert len(set(here.rows)) == 80
    assert here.id == there.id


def test_smaller_samples_are_the_beginning_of_larger_ones():
    few, many = choose_distractors(IDS, 50, seed=3), choose_distractors(IDS, 200, seed=3)
    np.testing.assert_array_equal(few.rows, many.rows[:50])
    np.testing.assert_array_equal(few.remaining[:150], many.rows[50:])


def test_another_seed_draws_other_distractors():
    one, other = choose_distractors(IDS, 100, seed=1), choose_distractors(IDS, 100, seed=2)
    overlap = len(set(one.rows) & set(other.rows))
    assert 5 <= overlap <= 40, "two independent draws of 100 from 500 share about 20"
    assert one.id != other.id


def test_a_small_catalog_is_taken_whole_and_the_seed_does_not_matter_then():
    one, other = choose_distractors(IDS, 1_000_000, seed=1), choose_distractors(IDS, 500, seed=2)
    np.testing.assert_array_equal(np.sort(one.rows), np.arange(500))
    assert len(one.remaining) == 0
    assert one.id == other.id, "the same products compete"
    assert one.describe() == {"id": one.id, "version": 1, "seed": 1, "size": 500}


def test_the_id_is_of_the_set():
    """Written down, so that the same set has the same name in every version: a change of it must be a new version."""
    assert set_id(["b", "a"]) == set_id(["a", "b"]) == "v1-cf6ab613e394"
    assert len({set_id(ids) for ids in (["a", "b"], ["ab"], ["a"], ["", "ab"], ["a", "b", "c"])}) == 5


def test_hashed_order_takes_every_id_once():
    np.testing.assert_array_equal(np.sort(hashed_order(IDS, 7)), np.arange(500))


@pytest.mark.parametrize(
    ("distractors", "products", "expected"),
    [
        (150, 300, (100, 150, 200, 300)),
        (1000, 1000, (100, 200, 500, 1000)),
        (2500, 6000, (100, 200, 500, 1000, 2000, 2500, 5000, 6000)),
        (7, 7, (7,)),
        (40, 60, (40, 60)),
    ],
)
def test_the_curve_has_round_sizes_the_set_and_the_catalog(distractors, products, expected):
    assert curve_sizes(distractors, products) == expected
