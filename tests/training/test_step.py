"""One device ≡ several replicas ≡ chunks of any size, for loss and gradient."""

import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.training import toy_engine
from tests.training.toy_engine import alone, run
from tfsage.training.step import gradients_of

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


@pytest.mark.parametrize("count", [2, 4])
def test_replicas_agree_with_one_device(count, tmp_path):
    out = tmp_path / "found.npz"
    subprocess.run([sys.executable, "-m", "tests.training.toy_engine", str(count), str(out)], cwd=ROOT, check=True)
    found = np.load(out)
    for key in found.files:
        dtype, form, _, place, _ = key.split()
        expected = alone(dtype, form)[int(place)]
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=TOLERANCE[dtype], err_msg=key)
    assert len(found.files) == 5 * len(toy_engine.cases(count))


@pytest.mark.parametrize("chunk_size", [1, 3, 5, 100])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_chunks_agree_with_the_whole(chunk_size, dtype):
    found = run(tf.distribute.get_strategy(), "paper", dtype, [8], chunk_size)
    for value, expected in zip(found, alone(dtype, "paper"), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(("dtype", "form"), [*(("float64", form) for form in toy_engine.FORMS), ("float32", "paper")])
def test_the_toy_is_no_easy_one(dtype, form):
    """Every gradient is far above the tolerances, so that a missing part of it would show."""
    assert all(np.abs(value).max() > 1e-3 for value in alone(dtype, form))


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_nothing_is_taken_back_before_the_loss_is_there(chunk_size):
    """Or the clock of the forward pass would show part of the backward pass, and chunks need the memory of both."""
    order = []
    weight = tf.Variable([[1.0], [2.0]])

    @tf.custom_gradient
    def watched(vectors):
        def note(upstream):
            order.append("backward")
            return upstream

        def gradient(upstream):
            # Without state, or TensorFlow would run it in the order of the program.
            return tf.ensure_shape(tf.numpy_function(note, [upstream], upstream.dtype, stateful=False), upstream.shape)

        return tf.identity(vectors), gradient

    def embed(features):
        return watched(tf.matmul(features["rows"], weight))

    def slow_loss(vectors):
        total = tf.reduce_sum(tf.square(vectors["a"]))

        def finish():
            time.sleep(0.2)
            order.append("loss")

        with tf.control_dependencies([tf.py_function(finish, [], [])]):
            return tf.identity(total), None

    @tf.function
    def step(rows):
        return gradients_of({"a": embed}, {"a": {"rows": rows}}, slow_loss, [weight], chunk_size)[2][0]

    np.testing.assert_allclose(step(tf.ones([5, 2])), [[30.0], [30.0]])
    assert order[0] == "loss" and set(order[1:]) == {"backward"}
