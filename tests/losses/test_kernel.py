import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfsage.losses import kernel
from tfsage.losses.kernel import streamed_softmax


def inputs(rows=7, columns=11, dimension=4, seed=0):
    random = np.random.default_rng(seed)
    mask = random.random((rows, columns)) < 0.3
    return {
        "queries": tf.constant(random.normal(size=(rows, dimension))),
        "columns": tf.constant(random.normal(size=(columns, dimension))),
        "positive": tf.constant(random.normal(size=rows)),
        "column_offset": tf.constant(random.normal(size=columns)),
        "row_offset": tf.constant(random.normal(size=rows)),
        "weight": tf.constant(random.random(rows)),
        "masked": tf.constant(np.argwhere(mask)),
    }


def evaluate(arguments, function=streamed_softmax, **options):
    """The outputs, and the gradients of 3 · total for queries, columns and positive."""
    sources = [arguments[name] for name in ("queries", "columns", "positive")]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        result = function(**arguments, **options)
        value = 3.0 * result.total
    return [*result, *tape.gradient(value, sources)]


def dense(queries, columns, positive, column_offset, row_offset, weight, masked):
    """The same with the whole logit matrix, and TensorFlow's own gradient."""
    logits = tf.matmul(queries, columns, transpose_b=True) + column_offset + row_offset[:, None]
    hidden = tf.scatter_nd(masked, tf.ones_like(masked[:, 0]), tf.shape(logits, tf.int64)) > 0
    logits = tf.where(hidden, logits.dtype.min, logits)
    excess = tf.reduce_logsumexp(logits, axis=1) - positive
    rows = tf.math.softplus(excess)
    return kernel.StreamedRows(tf.reduce_sum(weight * rows), rows, tf.sigmoid(excess))


def close(left, right, tolerance):
    for ours, theirs in zip(left, right, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [tf.float64, tf.float32])
def test_equals_the_dense_form_with_automatic_gradients(dtype):
    arguments = {name: tf.cast(part, dtype) if name != "masked" else part for name, part in inputs().items()}
    ours = evaluate(arguments)
    assert all(part.dtype == dtype for part in ours)
    close(ours, evaluate(arguments, dense), 1e-12 if dtype == tf.float64 else 1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 7, 100])
def test_chunks_do_not_change_anything(monkeypatch, rows):
    monkeypatch.setattr(kernel, "_FEWEST_ROWS", 1)
    arguments = inputs()
    close(evaluate(arguments, chunk_size=11 * rows), evaluate(arguments, dense), 1e-12)


def test_the_chunks_are_as_many_as_the_size_asks_for(monkeypatch):
    monkeypatch.setattr(kernel, "_FEWEST_ROWS", 1)
    seen = []
    monkeypatch.setattr(kernel, "_largest", lambda logits, count: seen.append(logits.shape[0]) or logits)
    evaluate(inputs(), hardest=1, chunk_size=33)
    assert seen == [3, 3, 1]


@pytest.mark.parametrize(("rows", "columns"), [(0, 5), (4, 0), (0, 0), (1, 1)])
def test_empty_rows_and_columns(rows, columns):
    total, losses, uncertainty, *gradients = evaluate(inputs(rows, columns))
    assert losses.shape == uncertainty.shape == (rows,)
    assert [part.shape for part in gradients] == [(rows, 4), (columns, 4), (rows,)]
    for part in (total, losses, uncertainty, *gradients):
        assert np.isfinite(part).all()
        if not rows * columns:
            assert not np.any(part)


def test_a_row_without_valid_columns_has_loss_and_gradient_zero():
    arguments = inputs(3, 4)
    masked = np.array([[1, column] for column in range(4)])
    total, losses, uncertainty, *gradients = evaluate({**arguments, "masked": tf.constant(masked)})
    assert losses[1] == uncertainty[1] == gradients[2][1] == 0.0
    assert not gradients[0][1].numpy().any()
    others = {name: tf.gather(arguments[name], [0, 2]) for name in ("queries", "positive", "row_offset", "weight")}
    alone = evaluate({**arguments, **others, "masked": tf.zeros([0, 2], tf.int64)})
    close([total, gradients[1]], [alone[0], alone[4]], 1e-12)


@pytest.mark.parametrize("dtype", [tf.float64, tf.float32])
@pytest.mark.parametrize("gap", [-300.0, -40.0, 0.0, 40.0, 300.0])
def test_extreme_logits_keep_their_gradient(gap, dtype):
    """A negative far above the positive has the gradient 1, a negative far below it a tiny one, never NaN."""
    one = tf.ones([1, 1], dtype)
    arguments = {
        "queries": one,
        "columns": gap * one,
        "positive": tf.zeros([1], dtype),
        "column_offset": tf.zeros([1], dtype),
        "row_offset": tf.zeros([1], dtype),
        "weight": tf.ones([1], dtype),
        "masked": tf.zeros([0, 2], tf.int64),
    }
    _, losses, _, _, column, positive = evaluate(arguments)
    np.testing.assert_allclose(losses, [np.logaddexp(0.0, gap)], rtol=1e-5, atol=1e-38)
    np.testing.assert_allclose(column, [[3 / (1 + np.exp(-gap))]], rtol=1e-5, atol=1e-38)
    np.testing.assert_array_equal(positive, -column[0])


def test_a_masked_column_may_be_anything_finite():
    arguments = inputs(2, 3)
    huge = tf.tensor_scatter_nd_update(arguments["columns"], [[1]], tf.fill([1, 4], tf.constant(1e150, tf.float64)))
    masked = tf.constant([[0, 1], [1, 1]], tf.int64)
    result = evaluate({**arguments, "columns": huge, "masked": masked})
    kept = {name: tf.gather(arguments[name], [0, 2]) for name in ("columns", "column_offset")}
    expected = evaluate({**arguments, **kept, "masked": tf.zeros([0, 2], tf.int64)})
    close(result[:4], expected[:4], 1e-12)
    close([tf.gather(result[4], [0, 2])], [expected[4]], 1e-12)
    assert not result[4][1].numpy().any()


def test_only_the_hardest_columns_and_their_equals_are_used():
    arguments = inputs(1, 5) | {"masked": tf.constant([[0, 4]], tf.int64)}
    logits = tf.constant([[3.0], [1.0], [2.0], [2.0], [9.0]], tf.float64)
    arguments |= {"queries": tf.ones([1, 1], tf.float64), "columns": logits, "column_offset": tf.zeros([5], tf.float64)}
    for hardest, used in ((1, [0]), (2, [0, 2, 3]), (3, [0, 2, 3]), (4, [0, 1, 2, 3]), (50, [0, 1, 2, 3])):
        kept = {name: tf.gather(arguments[name], used) for name in ("columns", "column_offset")}
        expected = evaluate({**arguments, **kept, "masked": tf.zeros([0, 2], tf.int64)})
        result = evaluate(arguments, hardest=hardest)
        close(result[:4], expected[:4], 1e-12)
        close([tf.gather(result[4], used)], [expected[4]], 1e-12)


def test_compiled_for_any_shape():
    function = tf.function(evaluate, reduce_retracing=True)
    for rows, columns in ((3, 5), (8, 2), (0, 4), (2, 9)):
        close(function(inputs(rows, columns)), evaluate(inputs(rows, columns)), 1e-12)
    assert function.experimental_get_tracing_count() <= 2


def test_memory_is_that_of_a_chunk_not_of_the_logit_matrix():
    """16,384 rows and columns: the logits alone would be one gibibyte."""
    code = """
import tfsage, tensorflow as tf
from tests.losses.test_kernel import evaluate
def arguments(size):
    ones = tf.ones([size])
    pairs = tf.stack([tf.range(size)] * 2, 1)
    vectors = tf.random.stateless_normal([size, 2], [1, 2])
    return {"queries": vectors, "columns": vectors, "positive": ones, "column_offset": ones, "row_offset": ones,
            "weight": ones, "masked": tf.cast(pairs, tf.int64)}
compiled = tf.function(evaluate)
for function, size in ((compiled, 256), (compiled, 16384), (evaluate, 16384)):
    function(arguments(size))
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, compiled, eager = map(int, done.stdout.split())
    assert compiled - before < 200 * 1024
    assert eager - before < 200 * 1024
