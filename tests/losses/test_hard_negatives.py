import numpy as np
import pytest
import tensorflow as tf

from tests.losses.reference import batch
from tfsage.losses.candidates import HardNegatives
from tfsage.losses.hard_negatives import hard_negative_rows


def test_each_row_is_compared_with_its_own():
    data = batch()
    losses = hard_negative_rows(data.rows(), data.candidates(), data.hard(), 3.0)
    for row in range(5):
        positive, own = data.embedding[data.positive[row]], data.hard_embedding[data.hard_row == row]
        logits = 3.0 * np.array([positive @ data.queries[row], *(own @ data.queries[row])])
        np.testing.assert_allclose(losses[row], np.log(np.exp(logits).sum()) - logits[0], rtol=0, atol=1e-12)


def test_rows_without_any_have_loss_and_gradient_zero():
    data = batch()
    rows = data.rows()
    for hard in (data.hard(), HardNegatives(tf.zeros([0], tf.int32), tf.zeros([0, 6], tf.float64))):
        with tf.GradientTape() as tape:
            tape.watch(rows.embedding)
            losses = hard_negative_rows(rows, data.candidates(), hard)
        gradient = tf.convert_to_tensor(tape.gradient(losses, rows.embedding)).numpy()
        for row in set(range(5)) - set(hard.row.numpy()):
            assert losses[row] == 0.0
            assert not gradient[row].any()


@pytest.mark.parametrize("dtype", [tf.float64, tf.float32])
@pytest.mark.parametrize("gap", [-300.0, -40.0, 0.0, 40.0, 300.0])
def test_extreme_logits_keep_value_and_gradient(gap, dtype):
    data = batch().part([0])
    embedding = tf.constant([[0.0], [gap]], dtype)
    rows = data.rows()._replace(embedding=tf.ones([1, 1], dtype), positive=tf.constant([0]))
    candidates = data.candidates()._replace(embedding=embedding[:1])
    hard = HardNegatives(tf.constant([0]), embedding[1:])
    with tf.GradientTape() as tape:
        tape.watch(hard.embedding)
        losses = hard_negative_rows(rows, candidates, hard)
    np.testing.assert_allclose(losses, [np.logaddexp(0.0, gap)], rtol=1e-5, atol=1e-38)
    expected = 1 / (1 + np.exp(-gap))
    np.testing.assert_allclose(tape.gradient(losses, hard.embedding), [[expected]], rtol=1e-5, atol=1e-38)
