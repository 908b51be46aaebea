"""The numeric oracles, and what the formulas promise."""

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.pools import P, R, S, pool
from tfsage.config import LossConfig
from tfsage.losses.masks import other_positives
from tfsage.losses.sampled_softmax import row_losses
from tfsage.losses.terms import in_batch_term, mixed_term, random_term

REFINED = {"duplicates": "mask", "positive_correction": "none"}
CONDITIONAL = {"duplicates": "mask", "positive_correction": "conditional"}
MIXTURE = {"proposal": "mixture"}


def losses(form, rows, candidates, scale=1.0, mask_others=True, **options):
    others = other_positives(rows, candidates) if mask_others else None
    return row_losses(rows, candidates, [form(rows, candidates, LossConfig(**options), others)], scale)


def logit_gradient(form, rows, candidates, **options):
    """d mean loss / d logits, since the queries are the rows of the identity: [B, n]."""
    with tf.GradientTape() as tape:
        tape.watch(candidates.embedding)
        total = losses(form, rows, candidates, **options).total
    gradient = tf.convert_to_tensor(tape.gradient(total, candidates.embedding))
    return gradient.numpy().T / len(rows.positive)


def close(actual, expected, tolerance=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def log_softmax_loss(logits, column):
    logits = np.asarray(logits)
    return np.log(np.sum(np.exp(logits))) - logits[column]


# --- values and gradients computed by hand for the base batch ---


@pytest.mark.parametrize(
    ("form", "options", "expected"),
    [
        (in_batch_term, {"correction": 0.0}, [0.4076059644, 0.4076059644, 0.1698460196]),
        (in_batch_term, {}, [0.6685832473, 0.3532806024, 0.1044846468]),
        (in_batch_term, REFINED, [0.3891563775, 0.4016929053, 0.1990776355]),
        (random_term, {}, [0.2355129198, 0.6041306053, 0.0956743294]),
        (random_term, REFINED, [0.3352833859, 0.8084788718, 0.1402843766]),
        (mixed_term, {}, [1.0109257041, 1.0705968506, 0.2075173879]),
    ],
)
def test_base_batch(form, options, expected):
    rows, candidates = pool(S, P, random=R)
    result = losses(form, rows, candidates, **options)
    close(result.rows, expected)
    close(result.total, np.sum(expected), 3e-9)
    close(result.negatives, {in_batch_term: 2.0, random_term: 2.0, mixed_term: 4.0}[form])
    close(result.uncertainty, 1 - np.exp(-np.array(expected)))


def test_base_batch_with_own_source_probabilities_instead_of_expected_counts():
    """With P = N the sizes cancel, so a pool of as many random negatives as positives shows the per-slot form."""
    rows, candidates = pool(S, P, random=np.concatenate([R, np.full((3, 1), -1e9)], axis=1))
    close(losses(mixed_term, rows, candidates).rows, [0.9093007886, 0.8834879860, 0.1743388290])


def test_base_batch_with_the_mixture_proposal():
    rows, candidates = pool(S, P, random=R)
    p = np.concatenate([P, [0.1, 0.05]])
    candidates = candidates._replace(log_q=tf.constant(np.log((3 * p + 2 * 0.25) / 5)))
    expected = [0.9136240517, 1.0891601599, 0.2606819510]
    close(losses(mixed_term, rows, candidates, **MIXTURE).rows, expected)


def test_uncertainty_of_the_refined_loss():
    result = losses(in_batch_term, *pool(S, P), **REFINED)
    close(result.uncertainty, [0.3223717041, 0.3308137823, 0.1805137304])


def test_gradient_of_the_corrected_loss():
    expected = [
        [-0.4875659439, 0.3141899236, 0.1733760203],
        [0.1550347140, -0.2976199238, 0.1425852098],
        [0.0179390500, 0.0812723227, -0.0992113727],
    ]
    close(3 * logit_gradient(in_batch_term, *pool(S, P)), expected)


def test_gradient_of_the_refined_loss_is_that_of_the_published_form():
    expected = [
        [-0.10745723, 0.06924598, 0.03821126],
        [0.05744197, -0.11027126, 0.05282930],
        [0.01087995, 0.04929129, -0.06017124],
    ]
    ours = logit_gradient(in_batch_term, *pool(S, P), **REFINED)
    close(ours, expected, 1e-8)

    def published(logits):
        others = 1.0 - np.eye(3)
        weights = others * (1.0 - P)[:, None] / P[None, :]
        sums = tf.reduce_sum(weights * tf.exp(logits), axis=1)
        positive = tf.linalg.diag_part(logits)
        share = tf.exp(positive) / (tf.exp(positive) + sums / 2.0)
        return tf.reduce_mean(-tf.stop_gradient(1.0 - share) * (positive - tf.math.log(sums)))

    logits = tf.Variable(S)
    with tf.GradientTape() as tape:
        value = published(logits)
    close(value, -0.0559220425)
    close(ours, tape.gradient(value, logits), 1e-12)


def test_weights():
    close(losses(in_batch_term, *pool(S, P, weight=[1.0, 2.0, 3.0])).total / 6.0, 0.2814330655)


# --- duplicates, and other positives of the same query ---


def test_duplicates_are_kept_masked_or_counted_once():
    p = np.array([0.6, 0.6, 0.2])
    batch = pool(S, p, ids=[7, 7, 9])
    close(tf.reduce_mean(losses(in_batch_term, *batch).rows), 0.4020742852)
    # Not a combination that training accepts; it is the oracle for the mask.
    close(tf.reduce_mean(losses(in_batch_term, *batch, duplicates="mask").rows), 0.2471281075)
    refined = losses(in_batch_term, *batch, **REFINED)
    # Row 0 keeps one negative, 9: n = 1 and q' = 0.2 / 0.4.
    close(refined.rows[0], np.log1p(np.exp(0.0 - 2.0 - np.log(0.2 / 0.4))))
    # Row 2 keeps both copies of 7: n = 2 and q' = 0.6 / 0.8.
    close(refined.rows[2], np.log1p((np.exp(0.0) + np.exp(1.0)) / (2 * 0.6 / 0.8) / np.exp(3.0)))
    close(refined.negatives, [1.0, 1.0, 2.0])
    distinct = losses(in_batch_term, *batch, duplicates="dedup", positive_correction="none")
    # For row 2 the copies of 7 share one vote, and any of two slots holds 7 with probability 1 − 0.4².
    close(distinct.rows[2], np.log1p((np.exp(0.0) + np.exp(1.0)) / 2 / (1 - 0.4**2) / np.exp(3.0)))
    close(distinct.negatives, [1.0, 1.0, 1.0])


def test_other_positives_of_the_same_query_are_masked():
    batch = pool(S, P, query_ids=[1, 1, 2])
    close(losses(in_batch_term, *batch).rows, [0.2914287011, 0.1848208683, 0.1044846468])
    unmasked = losses(in_batch_term, *batch, mask_others=False)
    close(unmasked.rows, [0.6685832473, 0.3532806024, 0.1044846468])


def test_the_query_id_that_a_random_negative_happens_to_carry_means_nothing():
    rows, candidates = pool(S, P, random=R, query_ids=[1, 1, 2])
    stray = candidates._replace(query_id=tf.constant([1, 1, 2, 1, 2], tf.int64))
    for form in (random_term, mixed_term):
        close(losses(form, rows, stray).rows, losses(form, rows, candidates).rows, 0.0)


@pytest.mark.parametrize(
    ("form", "options", "masked"),
    [
        (in_batch_term, {}, [(0, 1), (1, 0)]),
        (in_batch_term, REFINED, [(0, 1), (1, 0)]),
        (random_term, {}, [(0, 3), (1, 3), (2, 4)]),
        (random_term, REFINED, [(0, 3), (1, 3), (2, 4)]),
        (mixed_term, {}, [(0, 1), (1, 0), (1, 3)]),
        (mixed_term, {**MIXTURE, **CONDITIONAL}, [(0, 1), (1, 0), (0, 3), (1, 3), (2, 4)]),
    ],
)
def test_a_masked_candidate_has_no_gradient_at_all(form, options, masked):
    """Columns 0 and 1 are positives of the same query, columns 3 and 4 copies of positives 0 and 2."""
    rows, candidates = pool(S, P, R, ids=[7, 8, 9], random_ids=[7, 9], query_ids=[1, 1, 2])
    gradient = logit_gradient(form, rows, candidates, **options)
    for row, column in masked:
        assert gradient[row, column] == 0.0
    used = {in_batch_term: [0, 1, 2], random_term: [3, 4], mixed_term: [0, 1, 2, 3, 4]}[form]
    elsewhere = [(r, c) for r in range(3) for c in used if (r, c) not in masked and r != c]
    assert all(gradient[row, column] > 0.0 for row, column in elsewhere)


@pytest.mark.parametrize(("form", "copies"), [(in_batch_term, None), (random_term, [[2.0]])])
def test_a_row_without_any_valid_negative_has_loss_and_gradient_zero(form, copies):
    batch = pool([[2.0]], [1.0], copies, ids=[7], random_ids=[7] if copies else None)
    for options in ({}, REFINED, CONDITIONAL, {"duplicates": "dedup", "positive_correction": "none"}):
        result = losses(form, *batch, **options)
        close([result.total, result.rows[0], result.negatives[0], result.uncertainty[0]], 0.0)
        close(logit_gradient(form, *batch, **options), 0.0)


# --- what the formulas promise ---


@pytest.mark.parametrize("options", [{}, {"duplicates": "dedup"}])
def test_whole_catalog_as_random_negatives_is_the_full_softmax(options):
    scores = np.array([1.0, 0.5, -0.5, 0.0, 2.0])
    catalog = np.arange(5)
    for positive in catalog:
        batch = pool(scores[[positive]][None], [0.3], scores[None], u=0.2, ids=[positive], random_ids=catalog)
        close(losses(random_term, *batch, **options).rows[0], log_softmax_loss(scores, positive), 1e-12)
        gradient = logit_gradient(random_term, *batch, **options)[0]
        by_item = gradient[1:].copy()
        by_item[positive] += gradient[0]
        close(by_item, np.exp(scores) / np.exp(scores).sum() - (catalog == positive), 1e-12)
        # Were its copy kept, the positive would count twice.
        rows, candidates = batch
        kept = candidates._replace(id=tf.tensor_scatter_nd_update(candidates.id, [[1 + positive]], [77]))
        unmasked = losses(random_term, rows, kept, **options).rows[0]
        close(unmasked, np.log(np.exp(scores).sum() + np.exp(scores[positive])) - scores[positive], 1e-12)


@pytest.mark.parametrize("form", [in_batch_term, random_term])
def test_a_constant_factor_in_q_cancels_where_the_positive_is_corrected_too(form):
    rows, candidates = pool(S, P, random=R)
    scaled = candidates._replace(log_q=candidates.log_q - np.log(17.0))
    close(losses(form, rows, scaled).rows, losses(form, rows, candidates).rows, 1e-12)
    assert (
        np.abs(losses(form, rows, scaled, **REFINED).rows - losses(form, rows, candidates, **REFINED).rows).min() > 0.1
    )


def test_the_conditional_form_of_queries_seen_once_is_the_refined_one_with_expected_counts():
    rows, candidates = pool(S, P)
    expected = np.log1p((np.exp(S) / (3 * P) * (1 - np.eye(3))).sum(1) / np.exp(np.diag(S)))
    close(losses(in_batch_term, rows, candidates, **CONDITIONAL).rows, expected)
    often = rows._replace(conditional_log_q=tf.constant(np.log([0.5, 1.0, 1.0])))
    halved = np.log1p((np.exp(S) / (3 * P) * (1 - np.eye(3))).sum(1) / (np.exp(np.diag(S)) / [0.5, 1.0, 1.0]))
    close(losses(in_batch_term, often, candidates, **CONDITIONAL).rows, halved)


def test_partial_correction_leaves_log_q_partly_but_expected_counts_whole():
    rows, candidates = pool(S, P, R)
    z = np.concatenate([S - 0.3 * np.log(P) - np.log(3), R - 0.3 * np.log(0.25) - np.log(2)], axis=1)
    close(losses(mixed_term, rows, candidates, correction=0.3).rows, [log_softmax_loss(z[i], i) for i in range(3)])


def test_temperature_divides_before_log_q_is_subtracted():
    rows, candidates = pool([[0.0, 0.0]], [0.1, 0.001])
    rows = rows._replace(embedding=tf.constant([[1.0, 0.0]], tf.float64))
    embedding = tf.constant([[0.6, 0.8], [0.5, 3**0.5 / 2]], tf.float64)
    candidates = candidates._replace(embedding=embedding)
    close(losses(in_batch_term, rows, candidates, scale=1 / 0.05).rows, [2.6764582784])
    close(losses(in_batch_term, rows, candidates, scale=1 / 0.05, correction=0.0).rows, [0.1269280110])


def test_smoothing_is_the_cross_entropy_with_a_target_spread_over_valid_columns():
    rows, candidates = pool(S, P, query_ids=[1, 1, 2])
    term = in_batch_term(rows, candidates, LossConfig(), other_positives(rows, candidates))
    result = row_losses(rows, candidates, [term], label_smoothing=0.3)
    z = S - np.log(P)
    for row, valid in enumerate([[0, 2], [1, 2], [0, 1, 2]]):
        target = np.full(len(valid), 0.3 / len(valid)) + 0.7 * (np.array(valid) == row)
        log_share = z[row, valid] - np.log(np.exp(z[row, valid]).sum())
        close(result.rows[row], -(target * log_share).sum())


def test_logits_are_computed_in_float32_from_half_precision():
    rows, candidates = pool([[0.0, 0.0]], [0.5, 0.5])
    rows = rows._replace(embedding=tf.constant([[1.0, 2.0**-11]], tf.float16))
    candidates = candidates._replace(embedding=tf.constant([[1.0, 2.0**-11], [1.0, -(2.0**-11)]], tf.float16))
    loss = losses(in_batch_term, rows, candidates, scale=2.0**20).rows[0]
    assert loss.dtype == tf.float32
    close(loss, np.log1p(np.exp(-0.5)), 1e-6)
