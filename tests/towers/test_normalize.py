import numpy as np
import tensorflow as tf

from tfsage.towers.normalize import l2_normalize


def test_unit_vectors_in_their_direction():
    vectors = np.random.default_rng(0).normal(size=(5, 3, 7)) * np.logspace(-4, 6, 5)[:, None, None]
    expected = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    np.testing.assert_allclose(l2_normalize(vectors.astype(np.float32)), expected, atol=1e-6)


def test_gradient_is_the_projection_off_the_direction():
    x, upstream = np.float32([3, 0, 4]), np.float32([1, 2, 3])
    vectors = tf.constant([x])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        unit = l2_normalize(vectors)
    u = x / 5
    expected = (upstream - u * (u @ upstream)) / 5
    np.testing.assert_allclose(tape.gradient(unit, vectors, [upstream])[0], expected, atol=1e-6)


def test_zero_vectors_become_unit_with_gradient_zero():
    vectors = tf.constant([[0.0, 0, 0, 0], [1, 0, 0, 0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        unit = l2_normalize(vectors)
    gradient = tape.gradient(unit, vectors, tf.ones([2, 4])).numpy()
    np.testing.assert_allclose(unit, [[0.5] * 4, [1, 0, 0, 0]])
    np.testing.assert_allclose(gradient, [[0, 0, 0, 0], [0, 1, 1, 1]], atol=1e-6)


def test_half_precision_is_normalised_in_float32():
    vectors = tf.fill([1, 256], tf.constant(300.0, tf.float16))
    unit = l2_normalize(vectors)
    assert unit.dtype == tf.float32
    np.testing.assert_allclose(np.linalg.norm(unit), 1.0, atol=1e-6)


def test_no_rows():
    assert l2_normalize(tf.zeros([0, 4])).shape == (0, 4)
