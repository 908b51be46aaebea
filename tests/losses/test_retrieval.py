import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from tests.losses.pools import P, R, S, pool
from tfsage.config import LossConfig
from tfsage.errors import TfsageError
from tfsage.losses.retrieval import SampledSoftmaxTask

EXACT = {"temperature": 1.0, "learn_temperature": False}
REFINED = {"duplicates": "mask", "positive_correction": "none"}


@pytest.fixture
def mixed_float16():
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    tf_keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("options", "mean"),
    [
        ({}, 0.6872221170),
        ({"negatives": "in_batch"}, 0.3754494988),
        ({"negatives": "random"}, 0.3117726182),
        ({"negatives": "mixed"}, 0.7630133142),
        (REFINED, 0.3299756394 + 0.4280155447),
        ({"negatives": "in_batch", **REFINED}, 0.3299756394),
        ({"negatives": "random", **REFINED}, 0.4280155447),
    ],
)
def test_options_choose_the_loss(options, mean):
    task = SampledSoftmaxTask(LossConfig(**EXACT, **options))
    batch = pool(S, P, random=R)
    np.testing.assert_allclose(task(*batch), mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.mean(task.row_losses(*batch)), mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("negatives", ["sum", "in_batch", "mixed"])
def test_masking_of_other_positives_can_be_switched_off(negatives):
    batch = pool(S, P, random=R, query_ids=[1, 1, 2])
    masked, unmasked = (
        SampledSoftmaxTask(LossConfig(**EXACT, negatives=negatives, mask_other_positives=mask)).row_losses(*batch)
        for mask in (True, False)
    )
    assert (masked.numpy() < unmasked.numpy() - 0.01).tolist() == [True, True, False]


def test_weights_are_those_given_or_those_of_the_candidates():
    task = SampledSoftmaxTask(LossConfig(**EXACT, negatives="in_batch"))
    queries, query_ids, candidates = pool(S, P)
    weights = tf.constant([1.0, 2.0, 3.0])
    np.testing.assert_allclose(task(queries, query_ids, candidates, weights), 0.2814330655, rtol=0, atol=1e-9)
    weighted = candidates._replace(weight=weights)
    np.testing.assert_allclose(task(queries, query_ids, weighted), 0.2814330655, rtol=0, atol=1e-9)


def test_a_row_of_weight_zero_still_serves_as_a_negative():
    task = SampledSoftmaxTask(LossConfig(**EXACT, negatives="in_batch"))
    loss = task(*pool(S, P), tf.constant([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(loss, 0.6685832473, rtol=0, atol=1e-9)


def test_the_temperature_scales_the_logits_and_is_trained():
    task = SampledSoftmaxTask(LossConfig(temperature=0.5, negatives="in_batch"))
    batch = pool(S, P)
    np.testing.assert_allclose(task.temperature(), 0.5, rtol=1e-6)
    logits = S / 0.5 - np.log(P)
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))
    with tf.GradientTape() as tape:
        loss = task(*batch)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    slope = np.mean(np.sum((share - np.eye(3)) * S / 0.5, axis=1))
    assert len(task.trainable_variables) == 1
    np.testing.assert_allclose(tape.gradient(loss, task.trainable_variables[0]), slope, rtol=1e-5)


def test_contradictory_options_are_refused():
    with pytest.raises(TfsageError, match="duplicates"):
        SampledSoftmaxTask(LossConfig(duplicates="mask"))


def test_is_a_tfrs_task_with_the_plain_loss_as_a_special_case():
    """Without masks and with equal frequencies, L_pos is the loss of tfrs.tasks.Retrieval, which is a sum."""
    task = SampledSoftmaxTask(LossConfig(temperature=0.1, learn_temperature=False, negatives="in_batch"))
    assert isinstance(task, tfrs.tasks.Retrieval)
    vectors = tf.math.l2_normalize(tf.random.stateless_normal([2, 5, 8], [1, 2]), axis=-1)
    _, query_ids, candidates = pool(np.zeros((5, 5)), np.full(5, 0.2))
    ours = task(vectors[0], query_ids, candidates._replace(embedding=vectors[1]))
    theirs = tfrs.tasks.Retrieval(temperature=0.1)(vectors[0], vectors[1])
    np.testing.assert_allclose(ours, theirs / 5, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"negatives": "mixed"}, {**REFINED, "temperature_floor": 0.05}])
def test_mixed_precision_leaves_the_loss_in_float32(mixed_float16, options):
    generator = np.random.default_rng(4)
    vectors = generator.normal(size=(12, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    _, query_ids, candidates = pool(
        np.zeros((4, 4)), [0.4, 0.3, 0.2, 0.1], np.zeros((4, 4)), random_ids=[0, 1, 2, 9], query_ids=[1, 1, 2, 3]
    )
    task = SampledSoftmaxTask(LossConfig(**options))
    queries, embedding = tf.constant(vectors[:4]), tf.constant(vectors[4:])
    with tf.GradientTape() as tape:
        tape.watch([queries, embedding])
        loss = task(queries, query_ids, candidates._replace(embedding=embedding))
    assert loss.dtype == tf.float32
    doubles = [tf.cast(part, tf.float64) for part in (queries, embedding)]
    expected = task.row_losses(doubles[0], query_ids, candidates._replace(embedding=doubles[1]))
    np.testing.assert_allclose(loss, np.mean(expected), rtol=2e-6)
    gradients = tape.gradient(loss, [queries, embedding, *task.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_works_in_a_function_with_batches_of_any_size():
    task = SampledSoftmaxTask(LossConfig(**EXACT))
    function = tf.function(task.row_losses, reduce_retracing=True)
    for rows, negatives in ((3, 2), (1, 2), (2, 1)):
        batch = pool(S[:rows, :rows], P[:rows], random=R[:rows, :negatives])
        np.testing.assert_allclose(function(*batch), task.row_losses(*batch), rtol=0, atol=1e-12)
