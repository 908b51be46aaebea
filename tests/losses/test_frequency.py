import numpy as np
import pytest
import tensorflow as tf

from tfsage.config import FrequencyConfig
from tfsage.losses.frequency import CountMinSketch, ExactFrequency, GapEstimator, build_frequency


def zipf_ids(size, items, seed=0):
    p = 1.0 / np.arange(1, items + 1)
    return np.random.default_rng(seed).choice(items, size, p=p / p.sum())


class TestExactFrequency:
    def test_counts_and_log_q(self):
        ids = zipf_ids(1000, 20)
        frequency = ExactFrequency(30)
        for part in np.split(ids, 4):
            frequency.update(tf.constant(part))
        counts = np.bincount(ids, minlength=30)
        np.testing.assert_array_equal(frequency.count(tf.range(30)), counts)
        seen = np.flatnonzero(counts)
        log_q = frequency.log_q(tf.constant(seen))
        assert log_q.dtype == tf.float32
        np.testing.assert_allclose(log_q, np.log(counts[seen] / 1000), rtol=1e-6)
        np.testing.assert_allclose(np.exp(log_q).sum(), 1.0, rtol=1e-6)

    def test_rare_ids_have_no_floor(self):
        frequency = ExactFrequency(2)
        frequency.update(tf.zeros([3_000_000], tf.int64))
        frequency.update(tf.constant([1]))
        np.testing.assert_allclose(frequency.log_q(tf.constant([1])), [-np.log(3_000_001)], rtol=1e-6)

    def test_an_id_never_counted_has_the_log_q_of_one_observation(self):
        frequency = ExactFrequency(3)
        assert frequency.log_q(tf.constant([2])).numpy() == [0.0]
        frequency.update(tf.constant([0, 0, 0, 1]))
        np.testing.assert_allclose(frequency.log_q(tf.constant([2, 1])), np.log([0.25, 0.25]), rtol=1e-6)

    def test_counts_beyond_the_integers_of_float32(self):
        frequency = ExactFrequency(1)
        for _ in range(17):
            frequency.update(tf.zeros([1_000_000], tf.int64))
        frequency.update(tf.constant([0]))
        assert frequency.count(tf.constant([0])).numpy() == [17_000_001.0]
        assert frequency.total == 17_000_001.0

    def test_an_id_outside_the_range_is_an_error(self):
        with pytest.raises(tf.errors.InvalidArgumentError):
            ExactFrequency(3).update(tf.constant([3]))


class FourItems(CountMinSketch):
    """Hash functions given by a table: item i has column COLUMNS[i][r] in row r."""

    COLUMNS = ((0, 1), (1, 1), (0, 2), (2, 3))

    def cells_of(self, ids):
        return tf.transpose(tf.gather(tf.constant(self.COLUMNS, tf.int64), ids)) + tf.constant([[0], [4]], tf.int64)


class TestCountMinSketch:
    @pytest.mark.parametrize(
        ("conservative", "table", "estimates"),
        [(False, [6, 1, 1, 0, 0, 4, 3, 1], [4, 1, 3, 1]), (True, [3, 1, 1, 0, 0, 3, 3, 1], [3, 1, 3, 1])],
    )
    def test_worked_example(self, conservative, table, estimates):
        sketch = FourItems(4, 2, conservative)
        for item in [0, 0, 1, 2, 2, 2, 3, 0]:
            sketch.update(tf.constant([item]))
        np.testing.assert_array_equal(sketch.count(tf.range(4)), estimates)
        np.testing.assert_array_equal(sketch.variables[0] // 2**16, table)
        np.testing.assert_allclose(sketch.log_q(tf.range(4)), np.log(np.array(estimates) / 8), rtol=1e-6)

    @pytest.mark.parametrize("conservative", [True, False])
    @pytest.mark.parametrize("batches", [1, 60, 400])
    def test_never_below_the_truth_and_rarely_far_above(self, conservative, batches):
        ids = zipf_ids(400, 200)
        sketch = CountMinSketch(50, 3, conservative)
        for part in np.array_split(ids, batches):
            sketch.update(tf.constant(part))
        excess = sketch.count(tf.range(200)).numpy() - np.bincount(ids, minlength=200)
        assert excess.min() == 0
        assert excess.max() > 0
        assert np.mean(excess > np.e / 50 * 400) <= np.exp(-3)

    def test_conservative_update_errs_less(self):
        ids = zipf_ids(5000, 300)
        counts = np.bincount(ids, minlength=300)
        errors = []
        for conservative in (True, False):
            sketch = CountMinSketch(50, 3, conservative)
            for part in np.split(ids, 50):
                sketch.update(tf.constant(part))
            errors.append(np.mean(sketch.count(tf.range(300)) - counts))
        assert 0 < errors[0] < 0.7 * errors[1]

    def test_a_wide_sketch_is_exact(self):
        ids = zipf_ids(2000, 50)
        for conservative in (True, False):
            sketch = CountMinSketch(1 << 16, 4, conservative)
            sketch.update(tf.constant(ids))
            np.testing.assert_array_equal(sketch.count(tf.range(50)), np.bincount(ids, minlength=50))

    def test_rows_hash_independently(self):
        cells = CountMinSketch(100, 2).cells_of(tf.range(10_000)).numpy()
        assert np.all(cells[0] // 100 == 0)
        assert np.all(cells[1] // 100 == 1)
        # 10,000 balls in 10,000 urns leave a share of 1/e empty; dependent rows would leave nearly all empty.
        np.testing.assert_allclose(len(np.unique(cells, axis=1).T), 10_000 * (1 - np.exp(-1)), rtol=0.03)

    def test_seeds_choose_the_hash_functions(self):
        ids = tf.range(1000)
        same = np.mean(CountMinSketch(100, 1, seed=1).cells_of(ids) == CountMinSketch(100, 1, seed=2).cells_of(ids))
        assert same < 0.05
        np.testing.assert_array_equal(
            CountMinSketch(100, 2, seed=5).cells_of(ids), CountMinSketch(100, 2, seed=5).cells_of(ids)
        )

    def test_ids_of_64_bits_and_negative_ids(self):
        ids = tf.constant([2**40 + 12, 12, -1, 2**62], tf.int64)
        sketch = CountMinSketch(1 << 16, 4)
        sketch.update(tf.repeat(ids, [1, 2, 3, 4]))
        np.testing.assert_array_equal(sketch.count(ids), [1, 2, 3, 4])


@pytest.mark.parametrize("make", [lambda: ExactFrequency(5), lambda: CountMinSketch(64, 2)], ids=["exact", "sketch"])
class TestDecay:
    def test_keeps_log_q_and_shrinks_the_total(self, make):
        frequency = make()
        frequency.update(tf.constant([0, 1, 1, 2, 2, 2, 2, 4]))
        before = frequency.log_q(tf.constant([0, 1, 2, 4]))
        for _ in range(5):
            frequency.decay(0.5)
        assert frequency.total == 0.25
        np.testing.assert_allclose(frequency.log_q(tf.constant([0, 1, 2, 4])), before, rtol=1e-4)

    def test_new_observations_outweigh_old_ones(self, make):
        frequency = make()
        frequency.update(tf.zeros([10], tf.int64))
        frequency.decay(0.1)
        frequency.update(tf.ones([3], tf.int64))
        np.testing.assert_allclose(frequency.log_q(tf.constant([0, 1])), np.log([0.25, 0.75]), rtol=1e-4)


class TestGapEstimator:
    def test_worked_example(self):
        estimator = GapEstimator(1 << 10, 2, rate=0.5, initial_gap=10.0)
        gaps = []
        for step in range(1, 10):
            seen = [5, 5, 5] if step in (1, 3, 5, 9) else []
            estimator.update(tf.constant(seen, tf.int64))
            if seen:
                gaps.append(estimator.gap(tf.constant([5], tf.int64)).numpy()[0])
        np.testing.assert_allclose(gaps, [5.5, 3.75, 2.875, 3.4375], rtol=0, atol=1e-9)
        np.testing.assert_allclose(estimator.log_q(tf.constant([5], tf.int64)), [-np.log(3.4375)], rtol=1e-6)

    def test_approaches_the_rate_of_batches_with_the_id(self):
        estimator = GapEstimator(1 << 12, 2, rate=0.01, initial_gap=20.0)
        update = tf.function(estimator.update, reduce_retracing=True)
        generator = np.random.default_rng(0)
        p = np.array([0.5, 0.1, 0.02])
        for _ in range(3000):
            update(tf.constant(np.flatnonzero(generator.random(3) < p)))
        np.testing.assert_allclose(estimator.log_q(tf.range(3)), np.log(p), atol=0.35)

    def test_of_several_rows_the_longest_gap_counts(self):
        """Collisions shorten gaps; in a table with a single cell per row everything collides."""
        crowded, roomy = GapEstimator(1, 1, rate=0.5, initial_gap=8.0), GapEstimator(64, 4, rate=0.5, initial_gap=8.0)
        for step in range(1, 9):
            for estimator in (crowded, roomy):
                estimator.update(tf.constant([step % 4]))
        assert np.all(crowded.gap(tf.range(4)).numpy() < 1.1)
        assert np.all(roomy.gap(tf.range(4)).numpy() > 3.0)


MAKERS = {
    "exact": lambda seed: ExactFrequency(50),
    "sketch": lambda seed: CountMinSketch(40, 3, seed=seed),
    "plain_sketch": lambda seed: CountMinSketch(40, 3, conservative=False, seed=seed),
    "gap": lambda seed: GapEstimator(40, 2, rate=0.1, initial_gap=5.0, seed=seed),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
class TestEveryEstimator:
    def test_checkpoint_holds_everything(self, make, tmp_path):
        """Even the seeds: the table means nothing without the hash functions that filled it."""
        ids = tf.constant(zipf_ids(300, 50))
        original, restored = make(1), make(2)
        original.update(ids[:200])
        path = tf.train.Checkpoint(frequency=original).write(str(tmp_path / "checkpoint"))
        tf.train.Checkpoint(frequency=restored).read(path).assert_consumed()
        for estimator in (original, restored):
            estimator.update(ids[200:])
        np.testing.assert_array_equal(restored.log_q(tf.range(50)), original.log_q(tf.range(50)))

    def test_nothing_of_it_is_trained(self, make):
        assert make(1).trainable_variables == ()

    def test_in_a_function_with_batches_of_any_size(self, make):
        eager, traced = make(1), make(1)

        @tf.function(reduce_retracing=True)
        def step(ids):
            traced.update(ids)
            return traced.log_q(ids)

        for size in (10, 0, 3, 300):
            ids = tf.constant(zipf_ids(size, 50, seed=size), tf.int64)
            eager.update(ids)
            np.testing.assert_array_equal(step(ids), eager.log_q(ids))


def test_build_frequency():
    assert isinstance(build_frequency(FrequencyConfig(), 100), ExactFrequency)
    assert isinstance(build_frequency(FrequencyConfig(kind="exact"), 100), ExactFrequency)
    assert isinstance(build_frequency(FrequencyConfig(kind="count_min"), 100), CountMinSketch)
    assert isinstance(build_frequency(FrequencyConfig(), 10**12), CountMinSketch)
