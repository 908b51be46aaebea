import doctest

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.reference import batch
from tfsage.losses import masks
from tfsage.losses.masks import matches, other_positives, own_columns, with_others


@pytest.mark.parametrize(("rows", "columns", "ids"), [(7, 9, 4), (30, 50, 10), (1, 1, 1), (0, 5, 3), (5, 0, 3)])
def test_matches_are_all_pairs_of_equal_ids(rows, columns, ids):
    random = np.random.default_rng(1)
    left, right = (random.integers(-ids, ids, size) * 10**15 for size in (rows, columns))
    found = matches(tf.constant(left, tf.int64), tf.constant(right, tf.int64))
    assert found.dtype == tf.int64
    np.testing.assert_array_equal(found, np.argwhere(left[:, None] == right[None, :]))


def test_other_positives_are_those_of_the_batch_and_the_known_ones_but_never_the_own():
    data = batch()
    found = other_positives(data.rows(), data.candidates()).numpy().tolist()
    assert sorted(found) == [[0, 11], [0, 15], [0, 99], [1, 12], [1, 15], [1, 22], [2, 12], [3, 13], [3, 21]]


def test_a_pair_that_occurs_twice_is_no_other_positive_of_itself():
    data = batch().part([0, 1])
    rows = data.rows()._replace(known=None)
    same = data.candidates()._replace(
        query_id=tf.fill([15], rows.query_id[0]), id=tf.fill([15], tf.constant(5, tf.int64))
    )
    assert other_positives(rows, same).shape[0] == 0


def test_masked_columns():
    data = batch()
    own = own_columns(data.rows())
    np.testing.assert_array_equal(own, np.stack([np.arange(5), data.positive], axis=1))
    others = np.array([[3, 21], [0, 15], [0, 99], [4, 11]])
    found = with_others(own, tf.constant(others), data.candidates().id).numpy()
    expected = {(row, column) for row, entity in others for column in np.flatnonzero(data.id == entity)}
    assert {tuple(pair) for pair in found} == expected | {tuple(pair) for pair in own.numpy()}
    assert len(found) == len(expected) + 5
    assert (np.diff(found[:, 0]) >= 0).all()


def test_examples_in_the_docstrings():
    results = doctest.testmod(masks, extraglobs={"tf": tf})
    assert results.attempted and not results.failed
