import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfsage.training.optimizers import Lamb
from tfsage.training.schedule import WarmupCosine

SHAPES = {"kernel": (4, 3), "embeddings": (6, 2), "zeros": (2, 2), "bias": (3,), "query/bias": (2, 3), "gamma": (4,)}
MATRICES = ("kernel", "embeddings", "zeros")


def lamb(weights, gradients, rate, decay, matrix, beta_1=0.9, beta_2=0.999, epsilon=1e-6):
    """Algorithm 2 of You et al. for one variable, φ the identity."""
    weights, m, v = weights.copy(), np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        r = (m / (1 - beta_1**step)) / (np.sqrt(v / (1 - beta_2**step)) + epsilon)
        ratio = 1.0
        if matrix:
            r = r + decay * weights
            lengths = np.sqrt(np.sum(weights**2)), np.sqrt(np.sum(r**2))
            ratio = lengths[0] / lengths[1] if min(lengths) > 0 else 1.0
        weights = weights - rate * ratio * r
    return weights


def variables_and_gradients(steps=6):
    generator = np.random.default_rng(2)
    start = {name: generator.normal(size=shape) for name, shape in SHAPES.items()}
    start["zeros"] *= 0.0
    start["log_scale"] = np.array(0.7)
    gradients = [{name: generator.normal(size=value.shape) for name, value in start.items()} for _ in range(steps)]
    return start, gradients


@pytest.mark.parametrize("decay", [0.0, 0.25])
@pytest.mark.parametrize("traced", [True, False])
def test_equals_the_paper_in_plain_numpy(decay, traced):
    start, gradients = variables_and_gradients()
    variables = {name: tf.Variable(value, name=name) for name, value in start.items()}
    optimizer = Lamb(0.125, weight_decay=decay)
    optimizer.build(list(variables.values()))

    def step(gradient):
        optimizer.apply_gradients([(gradient[name], variable) for name, variable in variables.items()])

    step = tf.function(step) if traced else step
    for gradient in gradients:
        step(tf.nest.map_structure(tf.constant, gradient))
    for name, variable in variables.items():
        expected = lamb(start[name], [g[name] for g in gradients], 0.125, decay, name in MATRICES)
        np.testing.assert_allclose(variable, expected, rtol=1e-8, err_msg=name)


def test_worked_example():
    weights = tf.Variable([[3.0, 0.0], [0.0, 4.0]])
    Lamb(0.1).apply_gradients([(tf.fill([2, 2], 2.0), weights)])
    np.testing.assert_allclose(weights, [[2.75, -0.25], [-0.25, 3.75]], rtol=1e-5)


def test_a_matrix_moves_by_its_own_length_times_the_rate():
    start, gradients = variables_and_gradients()
    for scale in (1e-3, 1e3):
        weights = tf.Variable(scale * start["kernel"], name="kernel")
        Lamb(0.125, weight_decay=0.25).apply_gradients([(tf.constant(gradients[0]["kernel"]), weights)])
        moved = np.linalg.norm(weights - scale * start["kernel"])
        assert moved == pytest.approx(0.125 * np.linalg.norm(scale * start["kernel"]), rel=1e-6)


def test_biases_of_attention_neither_decay_nor_scale():
    layer = tf_keras.layers.MultiHeadAttention(num_heads=2, key_dim=3)
    layer(tf.zeros([1, 2, 4]), tf.zeros([1, 2, 4]))
    biases = [variable for variable in layer.trainable_variables if "bias" in variable.name]
    assert [variable.shape.rank for variable in biases] == [2, 2, 2, 1]
    for variable in layer.trainable_variables:
        variable.assign(tf.fill(variable.shape, 100.0))
    optimizer = Lamb(0.1, weight_decay=0.5)
    optimizer.apply_gradients([(tf.ones_like(variable), variable) for variable in layer.trainable_variables])
    for variable in biases:
        np.testing.assert_allclose(variable, 99.9, rtol=1e-6)
    np.testing.assert_allclose(layer.trainable_variables[0], 90.0, rtol=1e-5)


def test_a_sparse_gradient_counts_as_the_dense_one():
    start, gradients = variables_and_gradients()
    dense, sparse = (tf.Variable(start["embeddings"]) for _ in range(2))
    rows, values = [4, 1, 4], gradients[0]["embeddings"][:3]
    whole = np.zeros_like(start["embeddings"])
    np.add.at(whole, rows, values)
    Lamb(0.125, weight_decay=0.25).apply_gradients([(tf.constant(whole), dense)])
    slices = tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([6, 2]))
    Lamb(0.125, weight_decay=0.25).apply_gradients([(slices, sparse)])
    np.testing.assert_allclose(sparse, dense, rtol=1e-12)


def test_follows_a_schedule():
    weights, optimizer = tf.Variable(1.0), Lamb(WarmupCosine(1.0, 4, 20, 0.0))
    for expected in (0.75, 0.25, -0.5):
        optimizer.apply_gradients([(tf.constant(1.0), weights)])
        assert float(weights) == pytest.approx(expected, rel=1e-4)


def test_survives_serialization():
    options = {"learning_rate": 0.5, "weight_decay": 0.125, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.25}
    again = Lamb.from_config(Lamb(**options).get_config())
    start, gradients = variables_and_gradients(3)
    weights = tf.Variable(start["kernel"])
    for gradient in gradients:
        again.apply_gradients([(tf.constant(gradient["kernel"]), weights)])
    expected = lamb(start["kernel"], [g["kernel"] for g in gradients], 0.5, 0.125, True, 0.5, 0.75, 0.25)
    np.testing.assert_allclose(weights, expected, rtol=1e-9)
