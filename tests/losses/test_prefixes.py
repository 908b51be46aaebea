import numpy as np
import tensorflow as tf

from tfsage.losses.prefixes import leading


def test_leading_dimensions_of_unit_length():
    vectors = np.random.default_rng(1).normal(size=(5, 6))
    expected = vectors[:, :4] / np.linalg.norm(vectors[:, :4], axis=1, keepdims=True)
    np.testing.assert_allclose(leading(tf.constant(vectors), 4), expected, rtol=1e-12)
    half = leading(tf.constant(vectors, tf.float16), 4)
    assert half.dtype == tf.float32
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1.0, rtol=1e-6)


def test_nothing_in_the_leading_dimensions_has_gradient_zero():
    vectors = tf.constant([[0.0, 0.0, 1.0], [1e-9, 0.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        value = leading(vectors, 2)
    np.testing.assert_array_equal(value, vectors[:, :2])
    np.testing.assert_array_equal(tape.gradient(value, vectors), tf.zeros([2, 3]))
