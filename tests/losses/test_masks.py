import doctest

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.reference import batch
from tfsage.losses import masks
from tfsage.losses.candidates import IN_BATCH, RANDOM
from tfsage.losses.masks import masked_columns, matches, other_positives


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


@pytest.mark.parametrize("source", [IN_BATCH, RANDOM, None])
@pytest.mark.parametrize("copies", [True, False])
def test_masked_columns(source, copies):
    data = batch()
    if source == RANDOM and not copies:
        return  # never asked for: the row's own column is not among the random negatives
    columns = np.flatnonzero((data.source == source) | (source is None))
    others = np.array([[3, 21], [0, 15], [0, 99], [4, 11]])
    found = masked_columns(data.rows(), data.candidates(), source, tf.constant(others), copies).numpy()
    expected = set()
    for row, column in np.ndindex(5, len(columns)):
        own = (
            data.id[columns[column]] == data.id[data.positive[row]] if copies else columns[column] == data.positive[row]
        )
        if own or (row, data.id[columns[column]]) in {tuple(pair) for pair in others}:
            expected.add((row, column))
    assert {tuple(pair) for pair in found} == expected
    assert len(found) == len(expected)
    assert (np.diff(found[:, 0]) >= 0).all()


def test_examples_in_the_docstrings():
    results = doctest.testmod(masks, extraglobs={"tf": tf})
    assert results.attempted and not results.failed
