import doctest
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.pools import P, R, S, pool
from tfsage.losses import sampled_softmax
from tfsage.losses.sampled_softmax import (
    corrected_rows,
    in_batch_rows,
    mixed_rows,
    random_rows,
    refined_rows,
    scaled_logits,
    softmax_rows,
    weighted_mean,
)

LOSSES = {
    "in_batch": lambda q, i, c, s=1.0: in_batch_rows(q, i, c, s),
    "in_batch_refined": lambda q, i, c, s=1.0: in_batch_rows(q, i, c, s, refined=True),
    "random": lambda q, i, c, s=1.0: random_rows(q, c, s),
    "random_refined": lambda q, i, c, s=1.0: random_rows(q, c, s, refined=True),
    "mixed": lambda q, i, c, s=1.0: mixed_rows(q, i, c, s),
}


def close(actual, expected, tolerance=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def embedding_gradient(loss, queries, query_ids, candidates):
    """d mean loss / d logits, since the queries are the rows of the identity: [B, n]."""
    with tf.GradientTape() as tape:
        tape.watch(candidates.embedding)
        value = tf.reduce_mean(loss(queries, query_ids, candidates))
    return tape.gradient(value, candidates.embedding).numpy().T


def log_softmax_loss(logits, column):
    logits = np.asarray(logits)
    return np.log(np.sum(np.exp(logits))) - logits[column]


# --- values and gradients computed by hand for the base batch ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("in_batch", [0.6685832473, 0.3532806024, 0.1044846468]),
        ("in_batch_refined", [0.3891563775, 0.4016929053, 0.1990776355]),
        ("random", [0.2355129198, 0.6041306053, 0.0956743294]),
        ("random_refined", [0.3352833859, 0.8084788718, 0.1402843766]),
        ("mixed", [1.0109257041, 1.0705968506, 0.2075173879]),
    ],
)
def test_base_batch(name, expected):
    close(LOSSES[name](*pool(S, P, random=R)), expected)


def test_gradient_of_the_corrected_loss():
    expected = [
        [-0.4875659439, 0.3141899236, 0.1733760203],
        [0.1550347140, -0.2976199238, 0.1425852098],
        [0.0179390500, 0.0812723227, -0.0992113727],
    ]
    close(3 * embedding_gradient(in_batch_rows, *pool(S, P)), expected)


def test_gradient_of_the_refined_loss_is_that_of_the_published_form():
    expected = [
        [-0.10745723, 0.06924598, 0.03821126],
        [0.05744197, -0.11027126, 0.05282930],
        [0.01087995, 0.04929129, -0.06017124],
    ]
    ours = embedding_gradient(LOSSES["in_batch_refined"], *pool(S, P))
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


def test_duplicates_are_kept_by_the_corrected_form_and_masked_by_the_refined_one():
    p = np.array([0.6, 0.6, 0.2])
    batch = pool(S, p, ids=[7, 7, 9])
    close(tf.reduce_mean(in_batch_rows(*batch)), 0.4020742852)
    refined = in_batch_rows(*batch, refined=True)
    # Row 0 keeps one negative, 9: n = 1 and q' = 0.2 / 0.4.
    close(refined[0], np.log1p(np.exp(0.0 - 2.0 - np.log(0.2 / 0.4))))
    # Row 2 keeps both copies of 7: n = 2 and q' = 0.6 / 0.8.
    close(refined[2], np.log1p((np.exp(0.0) + np.exp(1.0)) / (2 * 0.6 / 0.8) / np.exp(3.0)))


def test_masked_duplicates_with_a_corrected_positive_as_in_the_oracle():
    valid = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]], bool)
    log_q = np.log([0.6, 0.6, 0.2])
    close(tf.reduce_mean(corrected_rows(np.diag(S), tf.constant(S), log_q, log_q, valid)), 0.2471281075)


def test_other_positives_of_the_same_query_are_masked():
    batch = pool(S, P, query_ids=[1, 1, 2])
    close(in_batch_rows(*batch), [0.2914287011, 0.1848208683, 0.1044846468])
    close(in_batch_rows(*batch, mask_other_positives=False), [0.6685832473, 0.3532806024, 0.1044846468])


def test_other_positives_of_the_same_query_are_masked_in_the_mixture_and_random_negatives_are_not():
    logits = np.concatenate([S, R], axis=1) - np.log(np.concatenate([3 * P, [2 * 0.25] * 2]))
    expected = [
        log_softmax_loss(logits[0, [0, 2, 3, 4]], 0),
        log_softmax_loss(logits[1, [1, 2, 3, 4]], 0),
        log_softmax_loss(logits[2], 2),
    ]
    queries, query_ids, candidates = pool(S, P, random=R, query_ids=[1, 1, 2])
    close(mixed_rows(queries, query_ids, candidates), expected)
    # The query id that a random negative happens to carry means nothing.
    stray = candidates._replace(query_id=tf.constant([1, 1, 2, 1, 2], tf.int64))
    close(mixed_rows(queries, query_ids, stray), expected)


# --- what the formulas promise ---


def test_whole_catalog_as_random_negatives_is_the_full_softmax():
    scores = np.array([1.0, 0.5, -0.5, 0.0, 2.0])
    catalog = np.arange(5)
    for positive in catalog:
        batch = pool(scores[[positive]][None], [0.3], scores[None], u=0.2, ids=[positive], random_ids=catalog)
        close(random_rows(batch[0], batch[2])[0], log_softmax_loss(scores, positive), 1e-12)
        gradient = embedding_gradient(LOSSES["random"], *batch)[0]
        probability = np.exp(scores) / np.exp(scores).sum()
        by_item = gradient[1:]
        by_item[positive] += gradient[0]
        close(by_item, probability - (catalog == positive), 1e-12)
        # Were its copy kept, the positive would count twice.
        unmasked = softmax_rows(tf.constant(scores[[positive]]), tf.constant(scores[None]), True)
        close(unmasked[0], np.log(np.exp(scores).sum() + np.exp(scores[positive])) - scores[positive], 1e-12)


@pytest.mark.parametrize(
    ("form", "corrected", "masked", "expected"),
    [
        (corrected_rows, False, False, [(0.646942, 0.353058), (0.790736, 0.209549), (0.885961, 0.205271)]),
        (corrected_rows, True, False, [(0.663012, 0.336988), (0.799025, 0.200975), (0.888990, 0.111010)]),
        (corrected_rows, True, True, [(0.756738, 0.243720), (1.006746, 0.034480), (1.178413, 0.178413)]),
        (refined_rows, True, True, [(0.889201, 0.150484), (0.979834, 0.048452), (0.994536, 0.018184)]),
    ],
    ids=["uncorrected", "corrected-kept", "corrected-masked", "refined"],
)
def test_expected_gradient_over_every_possible_sample(form, corrected, masked, expected):
    """Only corrected-kept and refined tend to the gradient of the full softmax; the other two do not."""
    scores, p, positive = tf.constant([1.0, 0.5, -0.5, 0.0], tf.float64), np.array([0.4, 0.3, 0.2, 0.1]), 1
    full = np.exp(scores) / np.exp(scores).sum() - np.eye(4)[positive]
    log_q = np.log(p) if corrected else np.zeros(4)
    for samples, (positive_ratio, distance) in zip((2, 4, 8), expected, strict=True):
        drawn = np.array(list(itertools.product(range(4), repeat=samples)))
        valid = drawn != positive if masked else np.ones_like(drawn, bool)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            rows = form(
                tf.fill([len(drawn)], scores[positive]),
                tf.gather(scores, drawn),
                tf.fill([len(drawn)], log_q[positive]),
                log_q[drawn],
                valid,
            )
            value = tf.reduce_sum(p[drawn].prod(axis=1) * rows)
        gradient = tf.convert_to_tensor(tape.gradient(value, scores)).numpy()
        close(gradient[positive] / full[positive], positive_ratio, 1e-6)
        close(np.abs(gradient - full).sum() / np.abs(full).sum(), distance, 1e-6)


@pytest.mark.parametrize("name", ["in_batch", "random"])
def test_a_constant_factor_in_q_cancels(name):
    queries, query_ids, candidates = pool(S, P, random=R)
    scaled = candidates._replace(log_q=candidates.log_q + np.log(17.0))
    close(LOSSES[name](queries, query_ids, scaled), LOSSES[name](queries, query_ids, candidates), 1e-12)


@pytest.mark.parametrize("name", ["in_batch_refined", "random_refined", "mixed"])
def test_q_is_absolute_where_nothing_cancels(name):
    queries, query_ids, candidates = pool(S, P, random=R)
    halved = candidates._replace(log_q=candidates.log_q - np.log([2.0, 2.0, 2.0, 3.0, 3.0]))
    assert np.abs(LOSSES[name](queries, query_ids, halved) - LOSSES[name](queries, query_ids, candidates)).min() > 0.01


@pytest.mark.parametrize("name", LOSSES)
def test_order_of_the_negatives_does_not_matter(name):
    generator = np.random.default_rng(1)
    in_batch, random = generator.normal(size=(4, 6)), generator.normal(size=(4, 5))
    p = generator.dirichlet(np.ones(6))
    queries, query_ids, candidates = pool(in_batch, p, random, ids=[1, 2, 3, 1, 4, 2], query_ids=[1, 2, 2, 3, 1, 5])
    expected = LOSSES[name](queries, query_ids, candidates)
    order = np.array([0, 1, 2, 3, 5, 4, 8, 10, 6, 9, 7])
    shuffled = candidates._replace(**{field: tf.gather(part, order) for field, part in candidates._asdict().items()})
    close(LOSSES[name](queries, query_ids, shuffled), expected, 1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_rows_of_a_part_of_the_batch_equal_those_of_the_whole(name):
    """Rows 2 and 3 alone, with the positives of all rows in the pool, own positives first."""
    generator = np.random.default_rng(2)
    in_batch, random = generator.normal(size=(4, 4)), generator.normal(size=(4, 3))
    queries, query_ids, whole = pool(in_batch, [0.4, 0.3, 0.2, 0.1], random, ids=[1, 2, 1, 3], query_ids=[1, 2, 3, 2])
    order = [2, 3, 0, 1, 4, 5, 6]
    part = whole._replace(**{field: tf.gather(values, order) for field, values in whole._asdict().items()})
    rows = LOSSES[name](queries[2:], query_ids[2:], part)
    close(rows, LOSSES[name](queries, query_ids, whole)[2:], 1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_masked_candidate_has_no_gradient_at_all(name):
    """Column 1 is another positive of query 1, columns 3 and 4 are copies of positives 0 and 2."""
    batch = pool(S, P, R, ids=[7, 8, 9], random_ids=[7, 9], query_ids=[1, 1, 2])
    gradient = embedding_gradient(LOSSES[name], *batch)
    masked = {
        "in_batch": [(0, 1), (1, 0)],
        "in_batch_refined": [(0, 1), (1, 0)],
        "random": [(0, 3), (2, 4)],
        "random_refined": [(0, 3), (2, 4)],
        "mixed": [(0, 1), (1, 0)],
    }[name]
    for row, column in masked:
        assert gradient[row, column] == 0.0
    used = {"in_batch": [0, 1, 2], "random": [0, 1, 2, 3, 4], "mixed": [0, 1, 2, 3, 4]}[name.removesuffix("_refined")]
    own_positive = np.eye(3, 5, dtype=bool)
    elsewhere = [(r, c) for r in range(3) for c in used if (r, c) not in masked and not own_positive[r, c]]
    if name.startswith("random"):
        elsewhere = [(r, c) for r, c in elsewhere if c >= 3]
    assert all(gradient[row, column] > 0.0 for row, column in elsewhere)


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_without_any_valid_negative_has_loss_and_gradient_zero(name):
    # The mixture keeps copies of the positive among the random negatives, so there it has none at all.
    copies = None if name == "mixed" else [[2.0]]
    batch = pool([[2.0]], [1.0], copies, ids=[7], random_ids=[7] if copies else None)
    close(LOSSES[name](*batch), [0.0])
    close(embedding_gradient(LOSSES[name], *batch), 0.0)


# --- numbers ---


def test_temperature_divides_before_log_q_is_subtracted():
    queries = tf.constant([[1.0, 0.0]], tf.float64)
    embeddings = [[0.6, 0.8], [0.5, 3**0.5 / 2]]
    _, query_ids, candidates = pool([[0.0, 0.0]], [0.1, 0.001])
    candidates = candidates._replace(embedding=tf.constant(embeddings, tf.float64))
    close(in_batch_rows(queries, query_ids, candidates, scale=1 / 0.05), [2.6764582784])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_inputs_are_cast_up(name, dtype):
    """Every mask is in use, and logits of ±100 meet masks that would be −inf in half precision."""
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(13, 8))
    vectors = tf.cast(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype)
    ids = {"ids": [1, 2, 1, 3], "random_ids": [1, 2, 3, 4, 5], "query_ids": [1, 1, 2, 3]}
    _, query_ids, candidates = pool(np.zeros((4, 4)), [0.4, 0.3, 0.2, 0.1], np.zeros((4, 5)), **ids)
    losses, gradients = [], []
    for cast in (dtype, tf.float64):
        queries, embedding = tf.cast(vectors[:4], cast), tf.cast(vectors[4:], cast)
        with tf.GradientTape() as tape:
            tape.watch([queries, embedding])
            losses.append(LOSSES[name](queries, query_ids, candidates._replace(embedding=embedding), 100.0))
        gradients.append(tape.gradient(losses[-1], [queries, embedding]))
    assert losses[0].dtype == tf.float32
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4, atol=1e-6)
    for half, double in zip(*gradients, strict=True):
        assert half.dtype == dtype
        np.testing.assert_allclose(tf.cast(half, tf.float64), double, rtol=0.02, atol=0.3)


def test_logits_are_computed_in_float32_from_half_precision():
    queries = tf.constant([[1.0, 2.0**-11]], tf.float16)
    assert scaled_logits(queries, queries, 1.0).numpy()[0, 0] == np.float32(1.0 + 2.0**-22)


@pytest.mark.parametrize("gap", [-40.0, 0.0, 40.0, 200.0])
def test_extreme_logits_keep_their_gradient(gap):
    """A negative far above the positive has the gradient 1, a negative far below it a tiny one, never NaN."""
    positive, negative = tf.Variable([0.0], dtype=tf.float64), tf.Variable([[gap]], dtype=tf.float64)
    with tf.GradientTape() as tape:
        loss = softmax_rows(positive, negative, True)
    gradient = tape.gradient(loss, [positive, negative])
    np.testing.assert_allclose(loss, [np.logaddexp(0.0, gap)], rtol=1e-9)
    np.testing.assert_allclose(gradient[1], [[1 / (1 + np.exp(-gap))]], rtol=1e-9)
    np.testing.assert_allclose(gradient[0], -gradient[1][0], rtol=1e-9)


def test_weighted_mean():
    rows = in_batch_rows(*pool(S, P))
    close(weighted_mean(rows, tf.constant([1.0, 2.0, 3.0])), 0.2814330655)
    close(weighted_mean(rows, tf.constant([10.0, 20.0, 30.0])), 0.2814330655)
    close(weighted_mean(rows, tf.constant([0.0, 1.0, 0.0])), 0.3532806024)
    assert weighted_mean(rows, tf.zeros([3])) == 0.0


def test_examples_in_the_docstrings():
    results = doctest.testmod(sampled_softmax, extraglobs={"tf": tf})
    assert results.attempted >= 6
    assert results.failed == 0


def test_known_positives_are_no_negatives_in_any_form():
    queries, query_ids, candidates = pool(S, P, R)
    known = np.zeros((3, 5), bool)
    known[0, 1] = known[2, 0] = known[1, 3] = known[2, 4] = True
    for form, columns in (("in_batch", range(3)), ("random", range(3, 5)), ("mixed", range(5))):
        with tf.GradientTape() as tape:
            tape.watch(queries)
            if form == "random":
                losses = random_rows(queries, candidates, known_positives=tf.constant(known))
            else:
                rows = in_batch_rows if form == "in_batch" else mixed_rows
                losses = rows(queries, query_ids, candidates, known_positives=tf.constant(known))
        # Queries are the rows of the identity, so this is the gradient with respect to the logits' own direction.
        gradient = tape.jacobian(losses, queries).numpy()
        log_q = candidates.log_q.numpy() + (np.log([3, 3, 3, 2, 2]) if form == "mixed" else 0)
        for row in range(3):
            logits = candidates.embedding.numpy() @ queries.numpy()[row]
            corrected = logits if form == "random" else logits - log_q
            kept = [c for c in columns if c != row and not known[row, c]]
            expected = np.log1p(np.exp(corrected[kept] - corrected[row]).sum())
            assert losses[row].numpy() == pytest.approx(expected, abs=1e-9)
        assert np.isfinite(gradient).all()
