import numpy as np
import pytest
import tensorflow as tf

from tfsage.text.bags import bag_of_position, bag_sum, weighted_pairs


def _bags(lengths):
    return bag_of_position(tf.constant(lengths, tf.int32), tf.constant(sum(lengths)))


def test_bag_of_position_repeats_each_bag_by_its_length():
    for lengths in ([], [0], [3], [0, 2, 0, 0, 1, 0], [5, 1]):
        np.testing.assert_array_equal(_bags(lengths), np.repeat(np.arange(len(lengths)), lengths))


def test_bag_sum_and_its_gradient_are_a_matrix_and_its_transpose():
    rng = np.random.default_rng(3)
    lengths = [0, 4, 0, 7, 2, 0]
    indices = rng.integers(5, size=13).astype(np.int32)
    matrix = np.zeros((6, 5))
    np.add.at(matrix, (np.repeat(np.arange(6), lengths), indices), 1.0)
    vectors, upstream = rng.normal(size=(5, 3)), rng.normal(size=(6, 3))
    with tf.GradientTape() as tape:
        watched = tf.constant(vectors)
        tape.watch(watched)
        sums = bag_sum(watched, tf.constant(indices), _bags(lengths), tf.constant(6))
    np.testing.assert_allclose(sums, matrix @ vectors, atol=1e-12)
    np.testing.assert_allclose(tape.gradient(sums, watched, upstream), matrix.T @ upstream, atol=1e-12)


def test_weighted_pairs_are_two_products_with_all_gradients():
    rng = np.random.default_rng(5)
    vectors, weights, upstream = (rng.normal(size=shape) for shape in ((4, 3), (6, 2), (6, 3)))
    places = rng.integers(4, size=(6, 2)).astype(np.int32)
    places[2] = 1
    with tf.GradientTape() as tape:
        watched = [tf.constant(vectors), tf.constant(weights)]
        tape.watch(watched)
        sums = weighted_pairs(watched[0], tf.constant(places), watched[1])
    np.testing.assert_allclose(sums, np.einsum("tk,tkd->td", weights, vectors[places]), atol=1e-12)
    d_vectors, d_weights = tape.gradient(sums, watched, upstream)
    expected = np.zeros_like(vectors)
    np.add.at(expected, places, weights[:, :, None] * upstream[:, None, :])
    np.testing.assert_allclose(d_vectors, expected, atol=1e-12)
    np.testing.assert_allclose(d_weights, np.einsum("td,tkd->tk", upstream, vectors[places]), atol=1e-12)


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("distinct", [0, 2])
@pytest.mark.parametrize("bags", [0, 4])
def test_no_bags_and_no_tokens(traced, distinct, bags):
    empty = tf.zeros([0], tf.int32)

    def run(vectors, bag_count):
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            sums = bag_sum(vectors, empty, empty, bag_count)
        return sums, tape.gradient(sums, vectors)

    # Of unknown sizes, as in training: what is known to be empty might never be computed.
    signature = [tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([], tf.int32)]
    run = tf.function(run, input_signature=signature) if traced else run
    sums, gradient = run(tf.ones([distinct, 3]), tf.constant(bags))
    np.testing.assert_array_equal(sums, np.zeros((bags, 3)))
    np.testing.assert_array_equal(gradient, np.zeros((distinct, 3)))


def test_results_are_the_same_bits_every_time():
    rng = np.random.default_rng(4)
    lengths = rng.integers(0, 40, 500)
    indices = tf.constant(rng.integers(200, size=lengths.sum()).astype(np.int32))
    bags = _bags(lengths.astype(np.int32))
    vectors = tf.Variable(rng.normal(size=(200, 64)).astype(np.float32))

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(bag_sum(vectors, indices, bags, tf.constant(500))))
        return loss, tape.gradient(loss, vectors)

    first = run()
    for _ in range(3):
        again = run()
        np.testing.assert_array_equal(again[0], first[0])
        np.testing.assert_array_equal(again[1], first[1])
