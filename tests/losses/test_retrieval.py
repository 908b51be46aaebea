import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tests.losses.forms import valid_forms
from tests.losses.pools import P, R, S, pool
from tests.losses.reference import batch, losses
from tfsage.config import LossConfig
from tfsage.errors import TfsageError
from tfsage.losses.candidates import Candidates
from tfsage.losses.retrieval import SampledSoftmaxTask

EXACT = {"temperature": 1.0, "learn_temperature": False}
REFINED = {"duplicates": "mask", "positive_correction": "none"}
LEARNED = valid_forms({"temperature": 0.25, "temperature_floor": 0.05}, ["", " smoothed prefixes"])


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
    np.testing.assert_allclose(task(*pool(S, P, random=R)), mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(task.total(*pool(S, P, random=R)).rows, task.total(*pool(S, P, R)).rows)


def test_a_call_is_the_weighted_mean():
    task = SampledSoftmaxTask(LossConfig(**EXACT, negatives="in_batch"))
    np.testing.assert_allclose(task(*pool(S, P, weight=[1.0, 2.0, 3.0])), 0.2814330655, rtol=0, atol=1e-9)
    np.testing.assert_allclose(task(*pool(S, P, weight=[10.0, 20.0, 30.0])), 0.2814330655, rtol=0, atol=1e-9)
    # A row of weight zero is a negative of the others all the same.
    np.testing.assert_allclose(task(*pool(S, P, weight=[1.0, 0.0, 0.0])), 0.6685832473, rtol=0, atol=1e-9)
    assert task(*pool(S, P, weight=[0.0, 0.0, 0.0])) == 0.0


@pytest.mark.parametrize("negatives", ["sum", "in_batch", "mixed"])
def test_masking_of_other_positives_can_be_switched_off(negatives):
    masked, unmasked = (
        SampledSoftmaxTask(LossConfig(**EXACT, negatives=negatives, mask_other_positives=mask))
        .total(*pool(S, P, random=R, query_ids=[1, 1, 2]))
        .rows
        for mask in (True, False)
    )
    assert (masked.numpy() < unmasked.numpy() - 0.01).tolist() == [True, True, False]


def test_hard_negatives_come_in_with_their_weight():
    data, task = batch(), SampledSoftmaxTask(LossConfig(**EXACT))
    without, half, whole = (
        task.total(data.rows(), data.candidates(), data.hard(), tf.constant(weight)).rows for weight in (0.0, 0.5, 1.0)
    )
    np.testing.assert_array_equal(without, task.total(data.rows(), data.candidates()).rows)
    np.testing.assert_allclose(half - without, (whole - without) / 2, rtol=0, atol=1e-12)
    assert ((whole - without).numpy() > 0).tolist() == [row in data.hard_row for row in range(5)]


def test_the_temperature_scales_the_logits_and_is_trained():
    task = SampledSoftmaxTask(LossConfig(temperature=0.5, negatives="in_batch"))
    np.testing.assert_allclose(task.temperature(), 0.5, rtol=1e-6)
    logits = S / 0.5 - np.log(P)
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))
    with tf.GradientTape() as tape:
        loss = task(*pool(S, P))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    slope = np.mean(np.sum((share - np.eye(3)) * S / 0.5, axis=1))
    assert len(task.trainable_variables) == 1
    np.testing.assert_allclose(tape.gradient(loss, task.trainable_variables[0]), slope, rtol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_the_gradient_of_the_temperature_is_the_slope_of_the_loss(name):
    data, loss = batch(), LEARNED[name]
    task = SampledSoftmaxTask(loss)
    with tf.GradientTape() as tape:
        total = task.total(data.rows(), data.candidates(), data.hard(), 0.5).total
    cold, warm = (loss.model_copy(update={"temperature": loss.temperature * factor}) for factor in (0.9999, 1.0001))
    slope = (losses(data, cold, 0.5)["total"] - losses(data, warm, 0.5)["total"]) / np.log(1.0001 / 0.9999)
    np.testing.assert_allclose(tape.gradient(total, task.trainable_variables[0]), slope, rtol=1e-4, atol=1e-5)


def test_contradictory_options_are_refused():
    with pytest.raises(TfsageError, match="duplicates"):
        SampledSoftmaxTask(LossConfig(duplicates="mask"))


def test_prefixes_that_are_no_prefixes_are_refused():
    task = SampledSoftmaxTask(LossConfig(prefixes={3: 1.0}))
    with pytest.raises(TfsageError, match="loss.prefixes"):
        task.total(*pool(S, P, R))


def test_conditional_correction_needs_its_frequencies():
    task = SampledSoftmaxTask(LossConfig(duplicates="mask", positive_correction="conditional"))
    rows, candidates = pool(S, P, R)
    with pytest.raises(TfsageError, match="conditional_log_q"):
        task.total(rows._replace(conditional_log_q=None), candidates)


def test_is_a_tfrs_task_with_the_plain_loss_as_a_special_case():
    """Without masks and with equal frequencies, L_pos is the loss of tfrs.tasks.Retrieval, which is a sum."""
    task = SampledSoftmaxTask(LossConfig(temperature=0.1, learn_temperature=False, negatives="in_batch"))
    assert isinstance(task, tfrs.tasks.Retrieval)
    vectors = tf.math.l2_normalize(tf.random.stateless_normal([2, 5, 8], [1, 2]), axis=-1)
    rows, candidates = pool(np.zeros((5, 5)), np.full(5, 0.2))
    ours = task.total(rows._replace(embedding=vectors[0]), candidates._replace(embedding=vectors[1])).total
    theirs = tfrs.tasks.Retrieval(temperature=0.1)(vectors[0], vectors[1])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_works_in_a_function_with_batches_of_any_size():
    task = SampledSoftmaxTask(LossConfig(**EXACT, prefixes={2: 0.5}, label_smoothing=0.1, duplicates="dedup"))
    function = tf.function(task.total, reduce_retracing=True)
    data = batch()
    for rows, columns in (([0, 1, 2], 15), ([4], 12), ([], 8), ([3, 1, 2, 0], 9)):
        part = data.part(rows)
        inputs = part.rows(), Candidates(*(field[:columns] for field in part.candidates())), part.hard()
        for ours, eager in zip(function(*inputs), task.total(*inputs), strict=True):
            np.testing.assert_allclose(ours, eager, rtol=0, atol=1e-12)
    assert function.experimental_get_tracing_count() <= 2
