import numpy as np
import pytest
import tensorflow as tf

from tfsage.losses.frequency import GapEstimator


def test_worked_example():
    estimator = GapEstimator(1 << 10, 2, rate=0.5, initial_gap=10.0)
    gaps = []
    for step in range(1, 10):
        seen = [5, 5, 5] if step in (1, 3, 5, 9) else []
        estimator.update(tf.constant(seen, tf.int64))
        if seen:
            gaps.append(estimator.gap(tf.constant([5], tf.int64)).numpy()[0])
    np.testing.assert_allclose(gaps, [5.5, 3.75, 2.875, 3.4375], rtol=0, atol=1e-9)
    np.testing.assert_allclose(estimator.log_q(tf.constant([5], tf.int64)), [-np.log(3.4375)], rtol=1e-6)


def after(steps, p, rate, initial_gap, items=2000):
    """log p̂ − log p of `items` ids, each in a share `p` of the batches independently of the others."""
    estimator = GapEstimator(1 << 16, 2, rate, initial_gap)
    update = tf.function(estimator.update, reduce_retracing=True)
    generator = np.random.default_rng(0)
    for _ in range(steps):
        update(tf.constant(np.flatnonzero(generator.random(items) < p)))
    return estimator.log_q(tf.range(items)).numpy() - np.log(p)


class TestErrorOfTheLog:
    """In the limit the relative variance of E is α (1 − p) / (2 − α), and log p̂ is too high by half of it."""

    @pytest.mark.parametrize(("rate", "steps", "bias"), [(0.1, 300, 0.034), (0.02, 800, 0.0)])
    def test_mean_and_spread(self, rate, steps, bias):
        error = after(steps, p=0.1, rate=rate, initial_gap=10.0)
        variance = rate * 0.9 / (2 - rate)
        np.testing.assert_allclose(error.mean(), variance / 2, atol=4 * np.sqrt(variance / 2000) + 0.002)
        np.testing.assert_allclose(error.mean(), bias, atol=0.02)
        np.testing.assert_allclose(error.std(), np.sqrt(rate / 2), rtol=0.12)

    def test_a_wrong_first_guess_is_forgotten(self):
        """Of what E₀ is too high by, a share of 1 − α is left after each sighting, in the mean 1 − α p after a step."""
        error = after(300, p=0.1, rate=0.1, initial_gap=100.0)
        np.testing.assert_allclose(error.mean(), 0.024 - np.log(1 + 9 * 0.99**300), atol=0.05)


def test_follows_drift():
    estimator = GapEstimator(1 << 10, 2, rate=0.2, initial_gap=10.0)
    for step in range(200):
        estimator.update(tf.constant([1] if step >= 100 or step % 10 == 9 else [2]))
        if step == 99:
            np.testing.assert_allclose(estimator.gap(tf.constant([1])), [10.0], rtol=0.01)
    np.testing.assert_allclose(estimator.gap(tf.constant([1])), [1.0], rtol=0.01)


def test_copies_in_a_batch_count_once():
    one, many = GapEstimator(64, 2, initial_gap=5.0), GapEstimator(64, 2, initial_gap=5.0)
    for step in range(5):
        one.update(tf.constant([step, 7]))
        many.update(tf.constant([7, step, 7, 7, step]))
    np.testing.assert_array_equal(one.gap(tf.range(10)), many.gap(tf.range(10)))


def test_of_several_rows_the_longest_gap_counts():
    """Collisions shorten gaps; in a table with a single cell per row everything collides."""
    crowded, roomy = GapEstimator(1, 1, rate=0.5, initial_gap=8.0), GapEstimator(64, 4, rate=0.5, initial_gap=8.0)
    for step in range(1, 9):
        for estimator in (crowded, roomy):
            estimator.update(tf.constant([step % 4]))
    assert np.all(crowded.gap(tf.range(4)).numpy() < 1.1)
    assert np.all(roomy.gap(tf.range(4)).numpy() > 3.0)
