"""What the sampled softmax is on average over every possible sample, against the softmax over the whole catalog."""

import doctest
import itertools
from collections import Counter
from math import factorial

import numpy as np
import pytest
import tensorflow as tf

from tfsage.config import LossConfig
from tfsage.losses import correction, hard_negatives, prefixes, terms
from tfsage.losses.candidates import IN_BATCH, RANDOM, Candidates, HardNegatives, QueryRows
from tfsage.losses.correction import log_inclusion, mixture_log_q
from tfsage.losses.sampled_softmax import row_losses
from tfsage.losses.terms import in_batch_term, mixed_term, random_term

SCORES = np.array([1.0, 0.5, -0.5, 0.0])
POPULARITY = np.array([0.4, 0.3, 0.2, 0.1])
UNIFORM = np.full(4, 0.25)
POSITIVE = 1
Z = np.exp(SCORES).sum()
FULL_GRADIENT = np.exp(SCORES) / Z - np.eye(4)[POSITIVE]


def samples(size, probability):
    """Every multiset of `size` draws of the four entities, with its probability."""
    for drawn in itertools.combinations_with_replacement(range(4), size):
        orders = factorial(size) / np.prod([factorial(count) for count in Counter(drawn).values()])
        yield list(drawn), orders * probability[list(drawn)].prod()


def pool(in_batch, random=(), mixture=False):
    """One query whose positive is the first in-batch column; logits are embeddings."""
    ids = np.array([*in_batch, *random])
    source = np.array([IN_BATCH] * len(in_batch) + [RANDOM] * len(random))
    log_p, log_u = tf.constant(np.log(POPULARITY)[ids]), tf.constant(np.log(UNIFORM)[ids])
    log_q = mixture_log_q(log_p, log_u, len(in_batch), len(random)) if mixture else tf.where(source == 0, log_p, log_u)
    ids = tf.constant(ids, tf.int64)
    return Candidates(
        tf.constant(SCORES[ids.numpy(), None]),
        ids,
        100 + ids,
        tf.constant(source),
        log_q,
        tf.ones([len(ids)], tf.float64),
    )


ROWS = QueryRows(
    tf.ones([1, 1], tf.float64),
    tf.constant([99], tf.int64),
    tf.constant([0]),
    tf.ones([1], tf.float64),
    tf.zeros([1], tf.float64),
)


def bias(form, options, size):
    """E[g⁺] / g⁺ and the relative L1 distance of E[g] from g, over the positive and `size` draws by popularity."""
    loss = LossConfig(**options)

    @tf.function(reduce_retracing=True)
    def gradient(candidates):
        with tf.GradientTape() as tape:
            tape.watch(candidates.embedding)
            total = row_losses(ROWS, candidates, [form(ROWS, candidates, loss)]).total
        return tf.convert_to_tensor(tape.gradient(total, candidates.embedding))[:, 0]

    expected = np.zeros(4)
    for drawn, probability in samples(size, POPULARITY):
        if form is random_term:
            candidates = pool([POSITIVE], drawn)
            log_q = tf.concat([candidates.log_q[:1], np.log(POPULARITY)[drawn]], 0)
            candidates = candidates._replace(log_q=log_q)
        else:
            candidates = pool([POSITIVE, *drawn])
        np.add.at(expected, [POSITIVE, *drawn], probability * gradient(candidates).numpy())
    return expected[POSITIVE] / FULL_GRADIENT[POSITIVE], np.abs(expected - FULL_GRADIENT).sum() / np.abs(
        FULL_GRADIENT
    ).sum()


@pytest.mark.parametrize(
    ("form", "options", "expected"),
    [
        (in_batch_term, {"correction": 0.0}, [(0.646942, 0.353058), (0.790736, 0.209549), (0.885961, 0.205271)]),
        (in_batch_term, {}, [(0.663012, 0.336988), (0.799025, 0.200975), (0.888990, 0.111010)]),
        (in_batch_term, {"duplicates": "mask"}, [(0.756738, 0.243720), (1.006746, 0.034480), (1.178413, 0.178413)]),
        (
            random_term,
            {"duplicates": "mask", "positive_correction": "conditional"},
            [(0.892355, 0.143919), (0.958586, 0.061908), (0.982265, 0.027748)],
        ),
        (
            in_batch_term,
            {"duplicates": "mask", "positive_correction": "none"},
            [(0.889201, 0.150484), (0.979834, 0.048452), (0.994536, 0.018184)],
        ),
    ],
    ids=["uncorrected", "corrected, kept", "corrected, masked", "expected counts, masked", "refined"],
)
def test_expected_gradient_over_every_possible_sample(form, options, expected):
    """The kept, expected-count and refined forms tend to the gradient of the full softmax; the other two do not."""
    for size, values in zip((2, 4, 8), expected, strict=True):
        np.testing.assert_allclose(bias(form, options, size), values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("positive_correction", ["all", "none"])
def test_the_bias_of_distinct_candidates_falls_with_their_number(positive_correction):
    distances = [
        bias(in_batch_term, {"duplicates": "dedup", "positive_correction": positive_correction}, n)[1]
        for n in (2, 4, 8)
    ]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.04


def estimate(term, embedding):
    """Σ over the columns of the term of e^s as it is corrected, masked columns too."""
    weights = np.log(term.votes) - term.correction.columns + term.correction.rows[0]
    return np.exp(weights + embedding[:, 0]).sum()


@pytest.mark.parametrize("size", [2, 4, 8])
def test_expected_normalizer_of_one_source(size):
    kept = distinct = wrong = 0.0
    for drawn, probability in samples(size, POPULARITY):
        candidates = pool(drawn)
        kept += probability * estimate(in_batch_term(ROWS, candidates, LossConfig()), candidates.embedding) / size
        term = in_batch_term(ROWS, candidates, LossConfig(duplicates="dedup"))
        distinct += probability * estimate(term, candidates.embedding)
        wrong += probability * np.exp(candidates.embedding[:, 0] - log_inclusion(candidates.log_q, size)).sum()
    np.testing.assert_allclose([kept, distinct], Z, rtol=1e-12)
    # Inclusion probabilities with duplicates kept: refused by the validator.
    np.testing.assert_allclose(wrong, {2: 7.0640789029, 4: 9.5854143643, 8: 15.6168397960}[size], rtol=1e-10)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("duplicates", ["dedup", "mask"])
def test_expected_normalizer_of_the_refined_forms_is_that_of_all_others(size, duplicates):
    loss, expected, none = LossConfig(duplicates=duplicates, positive_correction="none"), 0.0, 0.0
    for drawn, probability in samples(size, POPULARITY):
        candidates = pool([POSITIVE, *drawn])
        term = in_batch_term(ROWS, candidates, loss)
        kept = [column for column in range(size + 1) if candidates.id[column] != POSITIVE]
        weights = np.log(term.votes) - term.correction.columns + term.correction.rows[0]
        expected += probability * np.exp(weights + candidates.embedding[:, 0])[kept].sum()
        none += probability * (not kept)
    # The refined form divides by the number of negatives that are there: exact, given that there is any.
    exact = 1.0 if duplicates == "dedup" else 1.0 - none
    np.testing.assert_allclose(expected, exact * (Z - np.exp(SCORES[POSITIVE])), rtol=1e-12)


def test_expected_normalizer_of_both_sources():
    own = mixture = distinct = 0.0
    for (drawn, p), (random, u) in itertools.product(samples(2, POPULARITY), samples(2, UNIFORM)):
        candidates = pool(drawn, random)
        own += p * u * estimate(mixed_term(ROWS, candidates, LossConfig()), candidates.embedding)
        candidates = pool(drawn, random, mixture=True)
        loss = LossConfig(proposal="mixture")
        mixture += p * u * estimate(mixed_term(ROWS, candidates, loss), candidates.embedding) / 4
        loss = LossConfig(proposal="mixture", duplicates="dedup")
        distinct += p * u * estimate(mixed_term(ROWS, candidates, loss), candidates.embedding)
    # Eq. (4) counts the catalog twice.
    np.testing.assert_allclose([own, mixture], [2 * Z, Z], rtol=1e-12)
    # Four slots drawn alike are close to two and two: the excess falls with the number of slots.
    assert Z < distinct < 1.02 * Z


def test_mixture_of_one_source_is_that_source():
    log_p = tf.constant(np.log(POPULARITY))
    np.testing.assert_allclose(mixture_log_q(log_p, np.log(UNIFORM), 5, 0), log_p, rtol=1e-15)
    np.testing.assert_allclose(mixture_log_q(log_p, np.log(UNIFORM), 0, 5), np.log(UNIFORM), rtol=1e-15)
    expected = np.log((3 * POPULARITY + 5 * UNIFORM) / 8)
    np.testing.assert_allclose(mixture_log_q(log_p, np.log(UNIFORM), 3, 5), expected, rtol=1e-14)


@pytest.mark.parametrize("q", [1.0, 0.5, 1e-3, 1e-9])
def test_inclusion_is_exact_also_for_rare_and_for_certain_entities(q):
    exact = -np.expm1(8192 * np.log1p(-q)) if q < 1 else 1.0
    for dtype, tolerance in ((tf.float64, 1e-12), (tf.float32, 1e-6)):
        found = log_inclusion(tf.constant([np.log(q)], dtype), 8192)
        np.testing.assert_allclose(np.exp(found), [exact], rtol=tolerance * 100)


@pytest.mark.parametrize("module", [correction, terms, hard_negatives, prefixes])
def test_examples_in_the_docstrings(module):
    names = {"tf": tf, "row_losses": row_losses, "HardNegatives": HardNegatives}
    results = doctest.testmod(module, extraglobs=names)
    assert results.attempted and not results.failed
