import numpy as np
import pytest
import tensorflow as tf

from tests.losses.streams import zipf_ids
from tfsage.losses.frequency import CountMinSketch, Windows


class FourItems(CountMinSketch):
    """Hash functions given by a table: item i has column COLUMNS[i][r] in row r."""

    COLUMNS = ((0, 1), (1, 1), (0, 2), (2, 3))

    def cells_of(self, ids):
        return tf.transpose(tf.gather(tf.constant(self.COLUMNS, tf.int64), ids)) + tf.constant([[0], [4]], tf.int64)


@pytest.mark.parametrize(
    ("conservative", "table", "estimates"),
    [(False, [6, 1, 1, 0, 0, 4, 3, 1], [4, 1, 3, 1]), (True, [3, 1, 1, 0, 0, 3, 3, 1], [3, 1, 3, 1])],
)
class TestWorkedExample:
    STREAM = (0, 0, 1, 2, 2, 2, 3, 0)

    def test_item_by_item(self, conservative, table, estimates):
        sketch = FourItems(4, 2, conservative)
        for item in self.STREAM:
            sketch.update(tf.constant([item]))
        np.testing.assert_array_equal(sketch.count(tf.range(4)), estimates)
        np.testing.assert_array_equal(sketch.variables[0] // 2**16, table)
        np.testing.assert_allclose(sketch.log_q(tf.range(4)), np.log(np.array(estimates) / 8), rtol=1e-6)

    def test_a_window_is_a_table_of_its_own(self, conservative, table, estimates):
        """Six times item 2, the first six of the stream, and then the first window is forgotten."""
        sketch = FourItems(4, 2, conservative, Windows(2, 6))
        for item in (2, 2, 2, 2, 2, 2, *self.STREAM[:6]):
            sketch.update(tf.constant([item]))
        # In the first window item 0 shares a cell with item 2, but not its other cell, which is empty.
        first, second = [0, 0, 6, 0], [2 if conservative else 3, 1, 3, 0]
        np.testing.assert_array_equal(sketch.count(tf.range(4)), np.add(first, second))
        sketch.update(tf.constant([3]))
        np.testing.assert_array_equal(sketch.count(tf.range(4)), np.add(second, [0, 0, 0, 1]))


@pytest.mark.parametrize("conservative", [True, False])
@pytest.mark.parametrize("batches", [1, 60, 400])
def test_rarely_far_above_the_truth(conservative, batches):
    ids = zipf_ids(400, 200)
    sketch = CountMinSketch(50, 3, conservative)
    for part in np.array_split(ids, batches):
        sketch.update(tf.constant(part))
    excess = sketch.count(tf.range(200)).numpy() - np.bincount(ids, minlength=200)
    assert excess.min() == 0
    assert excess.max() > 0
    assert np.mean(excess > np.e / 50 * 400) <= np.exp(-3)


def test_conservative_update_errs_less():
    ids = zipf_ids(5000, 300)
    counts = np.bincount(ids, minlength=300)
    errors = []
    for conservative in (True, False):
        sketch = CountMinSketch(50, 3, conservative)
        for part in np.split(ids, 50):
            sketch.update(tf.constant(part))
        errors.append(np.mean(sketch.count(tf.range(300)) - counts))
    assert 0 < errors[0] < 0.7 * errors[1]


def test_windows_err_less_than_one_table_while_nothing_is_forgotten():
    """The sum of the minima is at most the minimum of the sums."""
    windows, plain = CountMinSketch(30, 3, False, Windows(5, 4)), CountMinSketch(30, 3, False)
    ids = zipf_ids(2000, 200)
    for part in np.split(ids, 20):
        for sketch in (windows, plain):
            sketch.update(tf.constant(part))
    found, bound = windows.count(tf.range(200)).numpy(), plain.count(tf.range(200)).numpy()
    assert np.all(np.bincount(ids, minlength=200) <= found)
    assert np.all(found <= bound)
    assert np.any(found < bound)


def test_a_wide_sketch_is_exact():
    ids = zipf_ids(2000, 50)
    for conservative in (True, False):
        sketch = CountMinSketch(1 << 16, 4, conservative)
        sketch.update(tf.constant(ids))
        np.testing.assert_array_equal(sketch.count(tf.range(50)), np.bincount(ids, minlength=50))


def test_rows_hash_independently():
    cells = CountMinSketch(100, 2).cells_of(tf.range(10_000, dtype=tf.int64)).numpy()
    assert np.all(cells[0] // 100 == 0)
    assert np.all(cells[1] // 100 == 1)
    # 10,000 balls in 10,000 urns leave a share of 1/e empty; dependent rows would leave nearly all empty.
    np.testing.assert_allclose(len(np.unique(cells, axis=1).T), 10_000 * (1 - np.exp(-1)), rtol=0.03)


def test_seeds_choose_the_hash_functions():
    ids = tf.range(1000, dtype=tf.int64)
    same = np.mean(CountMinSketch(100, 1, seed=1).cells_of(ids) == CountMinSketch(100, 1, seed=2).cells_of(ids))
    assert same < 0.05
    np.testing.assert_array_equal(
        CountMinSketch(100, 2, seed=5).cells_of(ids), CountMinSketch(100, 2, seed=5).cells_of(ids)
    )


def test_ids_of_64_bits_and_negative_ids():
    ids = tf.constant([2**40 + 12, 12, -1, 2**62], tf.int64)
    sketch = CountMinSketch(1 << 16, 4)
    sketch.update(tf.repeat(ids, [1, 2, 3, 4]))
    np.testing.assert_array_equal(sketch.count(ids), [1, 2, 3, 4])
