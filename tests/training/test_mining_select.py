"""Which products become hard negatives, against plain loops."""

import doctest

import numpy as np
import pytest

from tfsage.data.hard_negatives import NONE
from tfsage.data.permutation import mix64
from tfsage.training.mining import select
from tfsage.training.mining.select import draw, eligible


def eligible_one_by_one(product, similarity, positive, positive_similarity, known, margin):
    known, found = set(map(tuple, known.tolist())), np.zeros(product.shape, bool)
    for row in range(len(product)):
        own = positive_similarity[row]
        limit = own * (margin if own >= 0 else 2 - margin)
        for column, name in enumerate(product[row].tolist()):
            if name == -1 or name == positive[row] or (row, name) in known:
                continue
            found[row, column] = similarity[row, column] <= limit
    return found


@pytest.mark.parametrize("margin", [0.0, 0.5, 0.95, 1.0])
def test_eligible_against_plain_loops(margin):
    rng = np.random.default_rng(3)
    product = np.array([rng.permutation(30)[:12] for _ in range(40)])
    product[5, 8:], product[6] = -1, -1
    # Sixteenths, exact in floating point, so that there are ties with each other and with the limit.
    similarity = rng.integers(-16, 17, product.shape) / 16
    positive = rng.integers(0, 30, 40)
    positive_similarity = rng.integers(-16, 17, 40) / 16
    known = np.stack([rng.integers(0, 40, 90), rng.integers(0, 30, 90)], axis=1)
    found = eligible(product, similarity, positive, positive_similarity, known, margin)
    expected = eligible_one_by_one(product, similarity, positive, positive_similarity, known, margin)
    assert np.array_equal(found, expected)
    assert 0 < found.sum() < found.size


def test_a_similarity_at_the_limit_is_eligible_and_the_next_is_not():
    limit = np.float64(0.75)
    similarity = np.array([[limit, np.nextafter(limit, 1)]])
    nobody = np.zeros([0, 2], np.int64)
    found = eligible(np.array([[1, 2]]), similarity, np.array([9]), np.array([1.0]), nobody, 0.75)
    assert found.tolist() == [[True, False]]


@pytest.mark.parametrize("own", [-0.6, -0.1, 0.0, 0.1, 0.9])
def test_nothing_more_similar_than_the_positive_is_ever_eligible(own):
    similarity = np.linspace(-1, 1, 201)[None]
    product = np.arange(201)[None]
    for margin in (0.5, 0.95, 1.0):
        found = eligible(product, similarity, np.array([999]), np.array([own]), np.zeros([0, 2], int), margin)
        assert found.any() and similarity[found].max() <= own
        assert similarity[found].max() >= own - (1 - margin) * abs(own) - 0.0101


def test_known_products_of_one_row_are_eligible_in_another():
    product = np.array([[0, 7], [7, 0]])
    own = np.array([0.9, 0.9])
    for known, expected in (
        ([[0, 7]], [[True, False], [True, True]]),
        ([[1, 7]], [[True, True], [False, True]]),
        ([[0, 0], [1, 0]], [[False, True], [True, False]]),
        # Far beyond every product of the window.
        ([[0, 10**12], [1, 7]], [[True, True], [False, True]]),
    ):
        found = eligible(product, np.zeros((2, 2)), np.array([9, 9]), own, np.array(known), 1.0)
        assert found.tolist() == expected


def draw_one_by_one(product, allowed, count, keys):
    rows = []
    for row in range(len(product)):
        columns = [column for column in range(product.shape[1]) if allowed[row, column]]
        lot = {column: int(mix64(np.uint64(int(keys[row]) ^ int(product[row, column])))) >> 1 for column in columns}
        chosen = sorted(columns, key=lot.get)[:count]
        rows.append(chosen + [NONE] * (count - len(chosen)))
    return rows


@pytest.mark.parametrize("count", [1, 3, 12, 15])
def test_draw_against_plain_loops(count):
    rng = np.random.default_rng(4)
    product = np.array([rng.permutation(100)[:12] for _ in range(50)])
    allowed = rng.random(product.shape) < 0.4
    allowed[3], allowed[4] = False, True
    keys = rng.integers(0, 1 << 63, 50).astype(np.uint64) * np.uint64(2)
    assert draw(product, allowed, count, keys).tolist() == draw_one_by_one(product, allowed, count, keys)


def test_the_draw_does_not_depend_on_the_order_of_ranks():
    rng = np.random.default_rng(5)
    product = np.array([rng.permutation(100)[:20] for _ in range(30)])
    allowed = rng.random(product.shape) < 0.5
    keys = rng.integers(0, 1 << 63, 30).astype(np.uint64)
    order = np.array([rng.permutation(20) for _ in range(30)])
    drawn = np.take_along_axis(product, draw(product, allowed, 4, keys), axis=1)
    moved = [np.take_along_axis(part, order, axis=1) for part in (product, allowed)]
    assert np.array_equal(np.take_along_axis(moved[0], draw(*moved, 4, keys), axis=1), drawn)


def test_every_allowed_product_is_as_likely_as_any_other():
    rows = 20_000
    product = np.tile(np.arange(8), (rows, 1))
    allowed = product != 5
    keys = mix64(np.arange(rows, dtype=np.uint64))
    drawn = draw(product, allowed, 2, keys)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    counts = np.bincount(drawn.ravel(), minlength=8)
    assert counts[5] == 0
    expected = 2 * rows / 7
    # Six standard deviations of a count.
    assert np.abs(np.delete(counts, 5) - expected).max() < 6 * np.sqrt(expected * (5 / 7))


def test_nothing_to_draw_from():
    empty = np.zeros((3, 0), np.int64)
    assert draw(empty, empty.astype(bool), 2, np.arange(3, dtype=np.uint64)).tolist() == [[NONE, NONE]] * 3
    nobody = np.zeros((0, 4), np.int64)
    assert draw(nobody, nobody.astype(bool), 2, np.zeros(0, np.uint64)).shape == (0, 2)
    assert eligible(nobody, nobody, *np.zeros((2, 0)), np.zeros([0, 2], int), 1.0).shape == (0, 4)


def test_the_examples_are_right():
    failed, tried = doctest.testmod(select, extraglobs={"np": np})
    assert tried and not failed
