import numpy as np
import pytest
import tensorflow as tf

from tfsage.losses.temperature import Temperature


def gradient_of(temperature, upstream):
    with tf.GradientTape() as tape:
        value = upstream * tf.math.log(temperature.scale())
    return tape.gradient(value, temperature.trainable_variables[0]).numpy()


def test_value_and_scale():
    temperature = Temperature(0.07, 0.01, learned=True)
    np.testing.assert_allclose(temperature.value(), 0.07, rtol=1e-6)
    np.testing.assert_allclose(temperature.scale(), 1 / 0.07, rtol=1e-6)


def test_a_fixed_temperature_has_no_variable():
    temperature = Temperature(0.07, 0.01, learned=False)
    assert temperature.variables == []
    np.testing.assert_allclose(temperature.value(), 0.07, rtol=1e-6)


def test_never_below_the_floor():
    temperature = Temperature(0.07, 0.05, learned=True)
    temperature.trainable_variables[0].assign(50.0)
    np.testing.assert_allclose(temperature.value(), 0.05, rtol=1e-6)


@pytest.mark.parametrize("log_scale", [np.log(20.0), 50.0])
def test_leaves_the_floor_when_the_gradient_says_so(log_scale):
    """A plain minimum has no gradient beyond the limit: an optimizer's momentum would lock τ there for ever."""
    temperature = Temperature(0.07, 0.05, learned=True)
    temperature.trainable_variables[0].assign(log_scale)
    assert gradient_of(temperature, upstream=2.0) == 2.0
    assert gradient_of(temperature, upstream=-2.0) == 0.0


def test_gradient_away_from_the_floor():
    temperature = Temperature(0.07, 0.05, learned=True)
    assert gradient_of(temperature, upstream=2.0) == 2.0
    assert gradient_of(temperature, upstream=-2.0) == -2.0


def test_starting_at_the_floor_learns_upwards():
    temperature = Temperature(0.05, 0.05, learned=True)
    assert gradient_of(temperature, upstream=1.0) == 1.0
    assert gradient_of(temperature, upstream=-1.0) == 0.0
