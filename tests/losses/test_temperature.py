import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfsage.losses.temperature import Temperature


def learned(initial=0.07, floor=0.01, cap=1.0):
    return Temperature(initial, floor, cap, learned=True)


def gradient_of(temperature, upstream):
    with tf.GradientTape() as tape:
        value = upstream * tf.math.log(temperature.scale())
    return tape.gradient(value, temperature.trainable_variables[0]).numpy()


def test_value_and_scale():
    np.testing.assert_allclose(learned().value(), 0.07, rtol=1e-6)
    np.testing.assert_allclose(learned().scale(), 1 / 0.07, rtol=1e-6)


def test_a_fixed_temperature_has_no_variable():
    temperature = Temperature(0.07, 0.01, 1.0, learned=False)
    assert temperature.variables == []
    assert temperature.value() == np.float32(0.07)


@pytest.mark.parametrize(("log_scale", "expected"), [(50.0, 0.05), (-50.0, 0.5)])
def test_never_below_the_floor_nor_above_the_cap(log_scale, expected):
    temperature = learned(floor=0.05, cap=0.5)
    temperature.trainable_variables[0].assign(log_scale)
    np.testing.assert_allclose(temperature.value(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("log_scale", "outwards"), [(np.log(20.0), -2.0), (50.0, -2.0), (np.log(2.0), 2.0), (-50.0, 2.0)]
)
def test_leaves_a_limit_when_the_gradient_says_so(log_scale, outwards):
    """A plain minimum has no gradient beyond the limit: an optimizer's momentum would lock τ there for ever."""
    temperature = learned(floor=0.05, cap=0.5)
    temperature.trainable_variables[0].assign(log_scale)
    assert gradient_of(temperature, upstream=-outwards) == -outwards
    assert gradient_of(temperature, upstream=outwards) == 0.0


def test_gradient_away_from_the_limits():
    assert gradient_of(learned(), upstream=2.0) == 2.0
    assert gradient_of(learned(), upstream=-2.0) == -2.0


def test_starting_at_the_floor_learns_upwards():
    temperature = learned(initial=0.05, floor=0.05)
    assert gradient_of(temperature, upstream=1.0) == 1.0
    assert gradient_of(temperature, upstream=-1.0) == 0.0


def test_is_exempt_from_weight_decay_as_a_scalar():
    assert learned().trainable_variables[0].shape.rank == 0


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_is_float32_under_mixed_precision(policy):
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        temperature = learned()
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert temperature.scale().dtype == temperature.trainable_variables[0].dtype == tf.float32
