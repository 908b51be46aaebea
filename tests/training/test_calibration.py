import doctest
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfsage.training.calibration
from tfsage.losses import CountMinSketch, ExactFrequency, GapEstimator
from tfsage.training.calibration import Calibration, exact_log_q, slot_probabilities, summarize, track

CATALOG, SLOTS = 400, 128


def zipf(size=CATALOG, power=1.0):
    p = np.arange(1, size + 1, dtype=np.float64) ** -power
    return p / p.sum()


def batches(count, seed=0):
    """Batches whose slots hold ids of the catalog independently, with the probabilities of `zipf`."""
    return np.random.default_rng(seed).choice(CATALOG, [count, SLOTS], p=zipf())


def written(folder):
    """tag → the values that TensorBoard would show, in the order of steps; and the steps."""
    values, steps = defaultdict(list), []
    for file in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                values[value.tag].append(tf.make_ndarray(value.tensor))
                steps.append(event.step)
    return values, sorted(set(steps))


def calibration(folder, frequency, sample=CATALOG):
    callback = Calibration(
        tf.summary.create_file_writer(str(folder)),
        {"product": frequency},
        {"product": zipf()},
        {"product": SLOTS},
        sample,
    )
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(iterations=tf.Variable(7))))
    return callback


def figures(folder, frequency):
    """What is written of an estimator, without the `calibration/product/` of the names."""
    calibration(folder, frequency).on_epoch_end(0)
    values, _ = written(folder)
    return {tag.removeprefix("calibration/product/"): value[0] for tag, value in values.items()}


def test_example():
    results = doctest.testmod(tfsage.training.calibration)
    assert results.attempted
    assert not results.failed


class TestFigures:
    def test_right_counts_have_no_error(self, tmp_path):
        """Counts in the exact proportion of probabilities that are whole thousandths of a batch."""
        counts = np.array([500, 300, 150, 49, 1])
        frequency = ExactFrequency(6)
        frequency.update(tf.constant(np.repeat(np.arange(5), counts)))
        callback = Calibration(
            tf.summary.create_file_writer(str(tmp_path)),
            {"product": frequency},
            {"product": np.append(counts, 0) / 1000},
            {"product": SLOTS},
        )
        callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(iterations=tf.Variable(7))))
        callback.on_epoch_end(0)
        values, steps = written(tmp_path)
        assert steps == [7]
        for name in ("mean_error", "mean_absolute_error", "catalog_mean_error", "catalog_mean_absolute_error"):
            np.testing.assert_allclose(values[f"calibration/product/{name}"], [0.0], atol=1e-6)

    @pytest.mark.parametrize(
        "make", [lambda: ExactFrequency(CATALOG), lambda: CountMinSketch(1 << 12)], ids=["exact", "sketch"]
    )
    def test_a_long_stream_is_well_estimated(self, tmp_path, make):
        frequency = make()
        for ids in batches(300):
            frequency.update(tf.constant(ids))
        found = figures(tmp_path, frequency)
        assert abs(found["mean_error"]) < 0.01
        assert 0.005 < found["mean_absolute_error"] < 0.1
        assert found["mean_absolute_error"] < found["catalog_mean_absolute_error"] < 0.2

    def test_counts_that_are_lost_are_seen(self, tmp_path):
        """A fresh estimator for every step: each id gets the share of its batch, far from its probability."""
        for ids in batches(300):
            frequency = ExactFrequency(CATALOG)
            frequency.update(tf.constant(ids))
        found = figures(tmp_path, frequency)
        assert found["mean_absolute_error"] > 0.4
        assert found["catalog_mean_absolute_error"] > 0.7

    def test_a_narrow_sketch_takes_the_rare_for_frequent(self, tmp_path):
        sketch = CountMinSketch(32, 2)
        for ids in batches(300):
            sketch.update(tf.constant(ids))
        found = figures(tmp_path, sketch)
        assert found["mean_error"] > 0.3
        assert found["catalog_mean_error"] > 2 * found["mean_error"]

    def test_counts_of_other_tasks_are_seen(self, tmp_path):
        frequency = ExactFrequency(CATALOG)
        for ids in batches(300):
            frequency.update(tf.constant(CATALOG - 1 - ids))
        assert figures(tmp_path, frequency)["mean_absolute_error"] > 2.0

    def test_the_gap_estimator_is_held_against_inclusion_rates(self, tmp_path):
        estimator = GapEstimator(1 << 12, rate=0.05, initial_gap=5.0)
        update = tf.function(estimator.update, reduce_retracing=True)
        for ids in batches(600):
            update(tf.constant(ids))
        found = figures(tmp_path, estimator)
        assert abs(found["mean_error"]) < 0.05
        assert found["mean_absolute_error"] < 0.2
        # Against the probability of a slot it would be off by up to log 128.
        assert np.max(exact_log_q(zipf(), SLOTS) - exact_log_q(zipf())) > 4

    def test_histogram_and_picture(self, tmp_path):
        frequency = ExactFrequency(CATALOG)
        frequency.update(tf.constant(batches(1)[0]))
        found = figures(tmp_path, frequency)
        assert found["errors"][:, 2].sum() == CATALOG
        width, height, picture = int(found["log_q"][0]), int(found["log_q"][1]), found["log_q"][2]
        pixels = tf.io.decode_png(picture).numpy()
        assert pixels.shape[:2] == (height, width) == (500, 500)
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10

    def test_the_sample_is_the_same_at_every_epoch_and_only_it_is_asked(self, tmp_path):
        asked = []
        frequency = ExactFrequency(CATALOG)
        frequency.log_q = lambda ids: asked.append(ids.numpy()) or tf.zeros(tf.shape(ids))
        callback = calibration(tmp_path, frequency, sample=40)
        for epoch in range(2):
            callback.on_epoch_end(epoch)
        assert len(asked) == 2
        assert len(asked[0]) == 40
        np.testing.assert_array_equal(asked[0], asked[1])


class CountingModel(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.frequency = ExactFrequency(CATALOG)

    def train_step(self, ids):
        self.frequency.update(ids)
        self.optimizer.iterations.assign_add(1)
        return {"total": self.frequency.total}


@pytest.mark.parametrize("strategy", ["none", "mirrored"])
def test_in_fit(tmp_path, strategy):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"]) if strategy == "mirrored" else tf.distribute.get_strategy()
    with strategy.scope():
        model = CountingModel()
        model.compile("sgd")
    callback = Calibration(
        tf.summary.create_file_writer(str(tmp_path)),
        {"product": model.frequency},
        {"product": zipf()},
        {"product": SLOTS},
    )
    data = tf.data.Dataset.from_tensor_slices(batches(90))
    model.fit(data, steps_per_epoch=30, epochs=3, verbose=0, callbacks=[callback])
    values, steps = written(tmp_path)
    assert steps == [30, 60, 90]
    errors = values["calibration/product/mean_absolute_error"]
    assert errors[0] > errors[1] > errors[2] > 0
    error = model.frequency.log_q(tf.range(CATALOG)).numpy() - np.log(zipf())
    np.testing.assert_allclose(errors[2], np.sum(zipf() * np.abs(error)), rtol=1e-5)


class TestSlotProbabilities:
    def test_mixes_the_tasks_by_their_slots(self):
        generator = np.random.default_rng(0)
        pairs = [generator.integers(0, 50, size) for size in (1000, 30)]
        expected = [(96 * np.mean(pairs[0] == y) + 32 * np.mean(pairs[1] == y)) / 128 for y in range(60)]
        found = slot_probabilities(zip((96, 32), pairs, strict=True), 60)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-12)


class TestTrack:
    def test_a_small_catalog_is_tracked_whole(self):
        tracked = track(np.append(zipf(), 0.0), 2 * CATALOG)
        np.testing.assert_array_equal(tracked.ids, np.arange(CATALOG))
        np.testing.assert_allclose(tracked.traffic, zipf(), rtol=1e-12)
        np.testing.assert_allclose(tracked.catalog, 1 / CATALOG, rtol=1e-12)

    def test_the_whole_range_of_frequencies_is_there(self):
        p = zipf(100_000)
        tracked = track(p, 1000)
        assert len(np.unique(tracked.ids)) == 1000
        assert tracked.ids[0] == 0
        np.testing.assert_array_equal(tracked.probability, p[tracked.ids])
        share, _ = np.histogram(np.log(tracked.probability), 5, (np.log(p[-1]), np.log(p[0])))
        assert share[:3].min() > 150
        assert share[3:].sum() == np.sum(np.log(p) > np.log(p[-1]) + 0.6 * np.log(p[0] / p[-1]))

    def test_means_over_the_sample_are_those_over_the_catalog(self):
        p = zipf(100_000)
        error = 1.0 / (1.0 + np.arange(100_000) / 300) + 0.3 * np.sin(np.arange(100_000))
        found = [summarize(error[tracked.ids], tracked) for tracked in (track(p, 1000, seed) for seed in range(20))]
        for name, expected in {
            "mean_error": p @ error,
            "mean_absolute_error": p @ np.abs(error),
            "catalog_mean_error": error.mean(),
            "catalog_mean_absolute_error": np.abs(error).mean(),
        }.items():
            values = [figures[name] for figures in found]
            np.testing.assert_allclose(np.mean(values), expected, atol=0.01, err_msg=name)
            assert 0 < np.std(values) < 0.05

    def test_the_seed_chooses(self):
        p = zipf(10_000)
        np.testing.assert_array_equal(track(p, 100, 1).ids, track(p, 100, 1).ids)
        assert not np.array_equal(track(p, 100, 1).ids, track(p, 100, 2).ids)

    def test_equal_frequencies(self):
        tracked = track(np.full(50, 0.02), 25)
        assert len(tracked.ids) == 25
        np.testing.assert_allclose(tracked.traffic, 1 / 25)


class TestExactLogQ:
    def test_inclusion_rate(self):
        generator = np.random.default_rng(0)
        p = np.array([0.5, 0.01, 1e-12, 1.0])
        found = exact_log_q(p, 10)
        np.testing.assert_allclose(found[0], np.log(1 - 0.5**10), rtol=1e-12)
        np.testing.assert_allclose(
            np.exp(found[1]), np.mean(np.any(generator.random([100_000, 10]) < 0.01, 1)), rtol=0.03
        )
        np.testing.assert_allclose(found[2], np.log(1e-11), rtol=1e-9)
        assert found[3] == 0.0

    def test_probability_of_a_slot(self):
        np.testing.assert_allclose(exact_log_q(np.array([0.25])), [np.log(0.25)])
