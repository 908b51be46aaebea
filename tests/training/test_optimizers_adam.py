"""One operation a variable, and still Adam: by numpy, by Keras, with decay, for slices, and from its checkpoint."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfsage.training.optimizers import FusedAdam

START = np.float64([[0.5, -1.0, 2.0], [0.1, 0.0, -0.3]])


def gradients(steps: int) -> list[np.ndarray]:
    return list(np.random.default_rng(3).normal(size=(steps, *START.shape)))


def trained(optimizer, steps, start=START) -> np.ndarray:
    variable = tf.Variable(start)
    for gradient in steps:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
    return variable.numpy()


def by_numpy(steps, rate: float, decay: float = 0.0) -> np.ndarray:
    x, m, v = START.copy(), 0.0, 0.0
    for t, g in enumerate(steps, start=1):
        x -= decay * rate * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x -= rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
    return x


@pytest.mark.parametrize("decay", [None, 0.3])
def test_it_is_the_formula_and_keras_adam(decay):
    steps = gradients(12)
    ours = trained(FusedAdam(0.01, weight_decay=decay), steps)
    # The learning rate is a float32 number, and in Keras' own optimizer the betas are too.
    np.testing.assert_allclose(ours, by_numpy(steps, np.float32(0.01), decay or 0.0), rtol=1e-9)
    np.testing.assert_allclose(ours, trained(tf_keras.optimizers.Adam(0.01, weight_decay=decay), steps), atol=1e-6)


def test_the_first_step_is_the_learning_rate_whatever_the_gradient():
    np.testing.assert_allclose(
        trained(FusedAdam(0.001), [np.float64([3.0, -4.0])], np.zeros(2)), [-0.001, 0.001], rtol=1e-5
    )


def test_a_schedule_is_followed_step_by_step():
    schedule = tf_keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.001])
    steps = gradients(6)
    expected = trained(tf_keras.optimizers.Adam(schedule), steps)
    np.testing.assert_allclose(trained(FusedAdam(schedule), steps), expected, atol=1e-5)


def test_slices_are_updated_as_keras_does():
    def run(optimizer):
        variable = tf.Variable(START)
        for _ in range(3):
            slices = tf.IndexedSlices(tf.constant([[1.0, 2.0, 3.0]], tf.float64), tf.constant([1]), tf.constant([2, 3]))
            optimizer.apply_gradients([(slices, variable)])
        return variable.numpy()

    np.testing.assert_allclose(run(FusedAdam(0.01)), run(tf_keras.optimizers.Adam(0.01)), rtol=1e-6)


def test_it_goes_on_from_its_checkpoint(tmp_path):
    steps = gradients(8)
    variable, optimizer = tf.Variable(START), FusedAdam(0.01)
    for gradient in steps[:4]:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
    path = tf.train.Checkpoint(v=variable, o=optimizer).write(str(tmp_path / "state"))
    again, restored = tf.Variable(tf.zeros_like(START)), FusedAdam(0.01)
    restored.build([again])
    tf.train.Checkpoint(v=again, o=restored).read(path).assert_consumed()
    for gradient in steps[4:]:
        restored.apply_gradients([(tf.constant(gradient), again)])
    np.testing.assert_array_equal(again.numpy(), trained(FusedAdam(0.01), steps))
