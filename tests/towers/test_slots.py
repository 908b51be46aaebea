import numpy as np
import pytest
import tensorflow as tf

from tfsage.towers.slots import pad_slots, rms_normalize


def test_rms_normalize_brings_any_length_to_entries_of_order_one():
    vectors = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32) * [[0.1], [1.0], [1000.0]]
    expected = vectors / np.sqrt((vectors**2).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(rms_normalize(tf.constant(vectors, tf.float32)), expected, rtol=1e-3)


def test_rms_normalize_keeps_zero_with_a_finite_gradient():
    zeros = tf.zeros([2, 4])
    with tf.GradientTape() as tape:
        tape.watch(zeros)
        normalized = rms_normalize(zeros)
    assert (normalized.numpy() == 0).all()
    gradient = tape.gradient(normalized, zeros).numpy()
    assert np.isfinite(gradient).all() and np.abs(gradient).max() <= 1001


@pytest.mark.parametrize("count", [0, 2, 3, 5])
def test_pad_slots_keeps_the_first_and_fills_with_zeros(count):
    lengths = [2, 0, 3, 0]
    values = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    expected, start = np.zeros((4, count, 2), np.float32), 0
    for row, length in enumerate(lengths):
        kept = min(length, count)
        expected[row, :kept] = values[start : start + kept]
        start += length
    padded = tf.function(pad_slots)(tf.constant(values), tf.constant(lengths), tf.constant(count))
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(pad_slots(tf.constant(values), tf.constant(lengths), count), expected)


def test_pad_slots_without_rows():
    assert pad_slots(tf.zeros([0, 2]), tf.zeros([0], tf.int32), 3).shape == (0, 3, 2)
