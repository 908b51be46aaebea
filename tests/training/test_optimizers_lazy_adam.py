import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.training.tables import FORMS, ROWS, WIDTH, adam, as_slices, gradients, initial_table, lazy_adam
from tfsage.training.optimizers import LazyAdam
from tfsage.training.schedule import WarmupCosine


def trained(gradients, **options):
    table, optimizer = tf.Variable(initial_table()), LazyAdam(**{"learning_rate": 0.125} | options)
    for gradient in gradients:
        optimizer.apply_gradients([(gradient, table)])
    return table, optimizer


@pytest.mark.parametrize("form", ["dense", "every row", "repeated rows"])
def test_is_adam_where_every_step_touches_every_row(form):
    everything = list(gradients(form, steps=20))
    table, _ = trained(gradient for gradient, _, _ in everything)
    expected = adam(initial_table(), [dense for _, dense, _ in everything], 0.125)
    np.testing.assert_allclose(table, expected, rtol=1e-9)
    keras = tf.Variable(initial_table())
    optimizer = tf_keras.optimizers.Adam(0.125)
    for _, dense, _ in everything:
        optimizer.apply_gradients([(tf.constant(dense), keras)])
    np.testing.assert_allclose(table, keras, atol=1e-3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("traced", [True, False])
def test_is_adam_on_the_clock_of_each_row(form, traced):
    table, optimizer = tf.Variable(initial_table()), LazyAdam(0.125)
    optimizer.build([table])

    def step(gradient):
        optimizer.apply_gradients([(gradient, table)])

    step = tf.function(step, reduce_retracing=True) if traced else step
    everything = list(gradients(form, steps=12))
    for gradient, _, _ in everything:
        step(gradient)
    _, dense, touched = zip(*everything, strict=True)
    np.testing.assert_allclose(table, lazy_adam(initial_table(), dense, touched, 0.125), rtol=1e-9)


def test_worked_example_at_any_time():
    slices = tf.IndexedSlices(tf.constant([[3.0, -4.0]]), tf.constant([0]))
    other = tf.IndexedSlices(tf.constant([[1.0, 1.0]]), tf.constant([1]))
    table, optimizer = tf.Variable(tf.ones([2, 2])), LazyAdam(0.001)
    for _ in range(50):
        optimizer.apply_gradients([(other, table)])
    optimizer.apply_gradients([(slices, table)])
    np.testing.assert_allclose(table[0], [0.999, 1.001], rtol=1e-6)


def test_differs_from_adam_in_rows_that_steps_skip():
    """Adam moves on rows that the second step does not touch."""
    first, second = as_slices([3, 5], np.ones((2, WIDTH))), as_slices([5], np.ones((1, WIDTH)))
    table, _ = trained([first, second])
    once, _ = trained([first])
    keras, optimizer = tf.Variable(initial_table()), tf_keras.optimizers.Adam(0.125)
    for gradient in (first, second):
        optimizer.apply_gradients([(gradient, keras)])
    np.testing.assert_array_equal(table[3], once[3])
    assert np.abs(keras[3] - once[3]).min() > 0.05
    np.testing.assert_allclose(table[5], keras[5], atol=1e-4)


def test_state_of_rows_that_are_not_in_the_batch_stays_bit_for_bit():
    table, optimizer = trained([as_slices([2, 7, 2], np.ones((3, WIDTH)))])
    assert np.flatnonzero(np.any(table.numpy() != initial_table(), axis=1)).tolist() == [2, 7]
    state = {("/" + variable.name).split("/")[-2]: variable.numpy() for variable in optimizer.variables}
    for name in ("m", "v", "row_updates"):
        touched = state[name].reshape(ROWS, -1).any(axis=1)
        np.testing.assert_array_equal(np.flatnonzero(touched), [2, 7], err_msg=name)
    np.testing.assert_array_equal(state["row_updates"][[2, 7]], 1.0)


def test_follows_a_schedule_of_the_steps_of_the_training():
    """The row is seen in the third step for the first time, at the rate of the third step."""
    table, optimizer = tf.Variable(tf.zeros([2, 1])), LazyAdam(WarmupCosine(1.0, 4, 10, 0.0))
    for row in (0, 0, 1):
        optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 1]), tf.constant([row])), table)])
    np.testing.assert_allclose(table, [[-0.25 - 0.5], [-0.75]], rtol=1e-5)


def test_survives_serialization():
    options = {"learning_rate": 0.5, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.25}
    again = LazyAdam.from_config(LazyAdam(**options).get_config())
    table = tf.Variable(initial_table())
    everything = list(gradients("dense", steps=3))
    for gradient, _, _ in everything:
        again.apply_gradients([(gradient, table)])
    expected = adam(initial_table(), [dense for _, dense, _ in everything], 0.5, 0.5, 0.75, 0.25)
    np.testing.assert_allclose(table, expected, rtol=1e-9)
