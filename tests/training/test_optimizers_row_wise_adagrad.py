import numpy as np
import pytest
import tensorflow as tf

from tests.training.tables import FORMS, ROWS, WIDTH, as_slices, gradients, initial_table, row_wise_adagrad
from tfsage.training.optimizers import RowWiseAdagrad
from tfsage.training.schedule import WarmupCosine


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("traced", [True, False])
def test_equals_its_definition(form, traced):
    table, optimizer = tf.Variable(initial_table()), RowWiseAdagrad(0.25)
    optimizer.build([table])

    def step(gradient):
        optimizer.apply_gradients([(gradient, table)])

    step = tf.function(step, reduce_retracing=True) if traced else step
    everything = list(gradients(form))
    for gradient, _, _ in everything:
        step(gradient)
    expected = row_wise_adagrad(initial_table(), [dense for _, dense, _ in everything], 0.25)
    np.testing.assert_allclose(table, expected, rtol=1e-9)


def test_sparse_and_dense_gradients_may_take_turns():
    table, optimizer = tf.Variable(initial_table()), RowWiseAdagrad(0.25)
    everything = [item for form in FORMS for item in gradients(form, steps=1)]
    for gradient, _, _ in everything:
        optimizer.apply_gradients([(gradient, table)])
    expected = row_wise_adagrad(initial_table(), [dense for _, dense, _ in everything], 0.25)
    np.testing.assert_allclose(table, expected, rtol=1e-9)


def test_worked_example():
    table = tf.Variable([[1.0, 1.0]])
    RowWiseAdagrad(0.5).apply_gradients([(tf.constant([[3.0, 4.0]]), table)])
    np.testing.assert_allclose(table, [[1 - 0.4243, 1 - 0.5657]], atol=1e-4)


def test_the_size_of_the_gradient_does_not_matter():
    tables = [tf.Variable(initial_table()) for _ in range(2)]
    for scale, table in zip((1.0, 100.0), tables, strict=True):
        optimizer = RowWiseAdagrad(0.25)
        for slices, _, _ in gradients("some repeated rows", 3):
            optimizer.apply_gradients([(tf.IndexedSlices(scale * slices.values, slices.indices), table)])
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)


def test_rows_that_are_not_in_the_batch_stay_bit_for_bit():
    table, optimizer = tf.Variable(initial_table()), RowWiseAdagrad(0.25)
    before = table.numpy()
    optimizer.apply_gradients([(as_slices([2, 7, 2], np.ones((3, WIDTH))), table)])
    assert np.flatnonzero(np.any(table.numpy() != before, axis=1)).tolist() == [2, 7]
    accumulator = next(v for v in optimizer.variables if "row_accumulator" in v.name)
    assert accumulator.shape == [ROWS]
    np.testing.assert_array_equal(np.flatnonzero(accumulator), [2, 7])


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 2, 2)])
def test_variables_of_other_ranks(shape):
    generator = np.random.default_rng(1)
    start, values = generator.normal(size=shape), generator.normal(size=(3, *shape[1:]))
    table = tf.Variable(start)
    RowWiseAdagrad(0.25).apply_gradients([(tf.IndexedSlices(tf.constant(values), tf.constant([5, 1, 5])), table)])
    dense = np.zeros(shape)
    np.add.at(dense, [5, 1, 5], values)
    expected = row_wise_adagrad(start.reshape(ROWS, -1), [dense.reshape(ROWS, -1)], 0.25).reshape(shape)
    np.testing.assert_allclose(table, expected, rtol=1e-9)


def test_follows_a_schedule():
    table, optimizer = tf.Variable([[0.0]]), RowWiseAdagrad(WarmupCosine(1.0, 2, 10, 0.0))
    optimizer.apply_gradients([(tf.ones([1, 1]), table)])
    np.testing.assert_allclose(table, [[-0.5]], rtol=1e-6)
    optimizer.apply_gradients([(tf.ones([1, 1]), table)])
    np.testing.assert_allclose(table, [[-0.5 - 1 / np.sqrt(2)]], rtol=1e-6)


def test_survives_serialization():
    again = RowWiseAdagrad.from_config(RowWiseAdagrad(0.25, epsilon=0.01).get_config())
    table = tf.Variable(initial_table())
    gradient, dense, _ = next(gradients("dense"))
    again.apply_gradients([(gradient, table)])
    np.testing.assert_allclose(table, row_wise_adagrad(initial_table(), [dense], 0.25, epsilon=0.01), rtol=1e-9)
