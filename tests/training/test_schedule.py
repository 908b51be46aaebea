import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfsage.training.schedule import WarmupCosine


def rates(schedule, steps):
    return np.array([schedule(tf.constant(step, tf.int64)).numpy() for step in steps])


def test_rises_linearly_and_falls_like_a_cosine():
    schedule = WarmupCosine(peak=2.0, warmup_steps=4, total_steps=12, final_scale=0.1)
    np.testing.assert_allclose(rates(schedule, range(4)), [0.5, 1.0, 1.5, 2.0], rtol=1e-6)
    x = np.arange(9) / 8
    np.testing.assert_allclose(
        rates(schedule, range(4, 13)), 0.2 + 1.8 * (1 + np.cos(np.pi * x)) / 2, rtol=1e-6, atol=1e-7
    )


def test_stays_at_the_end():
    schedule = WarmupCosine(peak=2.0, warmup_steps=4, total_steps=12, final_scale=0.1)
    np.testing.assert_allclose(rates(schedule, [12, 13, 1000]), 0.2, rtol=1e-6)


@pytest.mark.parametrize(("warmup", "total", "expected"), [(0, 2, [1.0, 0.5, 0.0]), (4, 3, [0.25, 0.5, 0.75])])
def test_without_warm_up_and_shorter_than_the_warm_up(warmup, total, expected):
    schedule = WarmupCosine(peak=1.0, warmup_steps=warmup, total_steps=total, final_scale=0.0)
    np.testing.assert_allclose(rates(schedule, range(3)), expected, rtol=1e-6, atol=1e-7)


def test_survives_serialisation():
    schedule = WarmupCosine(peak=2.0, warmup_steps=3, total_steps=9, final_scale=0.3)
    again = WarmupCosine.from_config(schedule.get_config())
    np.testing.assert_array_equal(rates(again, range(12)), rates(schedule, range(12)))


def test_drives_a_keras_optimizer():
    variable = tf.Variable([0.0])
    optimizer = tf_keras.optimizers.SGD(WarmupCosine(1.0, 2, 4, 0.0))
    for _ in range(4):
        optimizer.apply_gradients([(tf.ones([1]), variable)])
    np.testing.assert_allclose(variable, [-(0.5 + 1.0 + 1.0 + 0.5)], rtol=1e-6)
