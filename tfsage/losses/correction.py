"""logQ correction: what is taken off the logits of a softmax over samples, so that it stands for the whole catalog.

s_ij are logits, already divided by the temperature; a row's positive is y⁺; p(y) is the probability that one slot of
the batch holds the entity y. Each function gives the terms of one form of the loss

    ℓ_i = −log [ e^(s⁺ − c⁺_i) / (e^(s⁺ − c⁺_i) + Σ_j e^(s_ij − c_j + a_i)) ].

Where log Q is given only up to a factor, the samples must be scaled like the positive (`all_corrected`); where the
positive is not a sample, the expected number of copies of each negative must be right (`refined`, `conditional`).
"""

from typing import NamedTuple

import tensorflow as tf


class Correction(NamedTuple):
    """What is taken off, or added to, the logits of one softmax; all floating.

    Attributes:
        columns: [n], c_j, taken off the logits of the negatives.
        rows: [B], a_i, added to the logits of all negatives of a row.
        positive: [B], c⁺_i, taken off the logit of the positive.
    """

    columns: tf.Tensor
    rows: tf.Tensor
    positive: tf.Tensor


def all_corrected(log_q: tf.Tensor, positive_log_q: tf.Tensor) -> Correction:
    """Every column is corrected, the positive too: ItemSage eq. (2) to (4); Yi et al., RecSys 2019.

    c_j = log q_j, c⁺ = log q⁺: a factor common to all q cancels. The samples must be kept as drawn: with copies of
    the positive masked, every gradient is too large by 1 / (1 − P(positive)) in the limit of many samples.

    Logits [1, 0] with q = [½, ¼], the first the positive, become 1 + log 2 and log 4; the loss is
    log(1 + 4 / (2e)):

    >>> c = all_corrected(tf.math.log([0.5, 0.25]), tf.math.log([0.5]))
    >>> round(float(tf.nn.softplus((0.0 - c.columns[1]) - (1.0 - c.positive[0]))), 4)
    0.5514

    Args:
        log_q: [n].
        positive_log_q: [B].
    """
    return Correction(log_q, tf.zeros_like(positive_log_q), positive_log_q)


def refined(log_q: tf.Tensor, positive_log_q: tf.Tensor, negatives: tf.Tensor) -> Correction:
    """The positive is no sample, and is not corrected: Khrylchenko et al., RecSys 2025.

    c_j = log q_j, a = −log n + log(1 − q⁺), c⁺ = 0: each of the n valid negatives of a row is a draw from
    q_j / (1 − q⁺), the frequencies without the positive, and stands for 1 / n of the catalog. Copies of the positive
    must be masked, and q must be absolute: here no factor cancels. The gradient is that of the published
    −sg(1 − P̂)·[s⁺ − log Σ_j e^(s_j − log(q_j / (1 − q⁺)))], but the value is a cross-entropy and never negative.

    One negative with q = ¼ beside a positive with q = ½ stands for (1 − ½) / (1 · ¼) = 2 candidates:

    >>> c = refined(tf.math.log([0.25]), tf.math.log([0.5]), tf.constant([1.0]))
    >>> round(float(tf.exp(c.rows[0] - c.columns[0])), 4)
    2.0

    Args:
        log_q: [n].
        positive_log_q: [B].
        negatives: [B], the number of valid negatives of each row.
    """
    rows = tf.math.log1p(-tf.exp(positive_log_q)) - tf.math.log(tf.maximum(negatives, 1.0))
    return Correction(log_q, rows, tf.zeros_like(positive_log_q))


def conditional(log_expected: tf.Tensor, conditional_log_q: tf.Tensor) -> Correction:
    """The positive is corrected by its frequency among the positives of its own query: Pinterest's released code
    (OmniSearchSage, `SoftmaxCorrectionLoss`).

    c_j = log(n q_j), the expected number of copies among n candidates; c⁺ = log [C(query, positive) / C(query)]. For
    a query seen once that is zero, and the form the refined one. Copies of the positive must be masked.

    A positive with logit 0 that is half of what its query leads to counts twice:

    >>> c = conditional(tf.math.log([3 * 0.25]), tf.math.log([0.5]))
    >>> round(float(tf.exp(0.0 - c.positive[0])), 4)
    2.0

    Args:
        log_expected: [n].
        conditional_log_q: [B].
    """
    return Correction(log_expected, tf.zeros_like(conditional_log_q), conditional_log_q)


def refined_distinct(log_inclusion: tf.Tensor, rows: tf.Tensor | int) -> Correction:
    """The refined form over distinct candidates: the positive is no sample, and each entity counts once.

    c_j = log of the probability that any of the slots other than the row's own holds the entity (`log_inclusion`),
    a = 0, c⁺ = 0: the sum over the candidates is then an unbiased estimate of that over all others in the catalog.

    An entity that half of all batches hold stands for two:

    >>> c = refined_distinct(tf.math.log([0.5]), 1)
    >>> round(float(tf.exp(0.0 - c.columns[0])), 4)
    2.0

    Args:
        log_inclusion: [n].
        rows: B.
    """
    zero = tf.zeros([rows], log_inclusion.dtype)
    return Correction(log_inclusion, zero, zero)


def log_expected(log_q: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
    """log(n q): log of the expected number of copies of an entity among n slots.

    >>> round(float(tf.exp(log_expected(tf.math.log(0.25), 8))), 4)
    2.0
    """
    return log_q + tf.math.log(tf.cast(slots, log_q.dtype))


def log_inclusion(log_q: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
    """log(1 − (1 − q)^n): log of the probability that any of n slots holds an entity.

    With distinct candidates, the sum of e^s / inclusion over them is an unbiased estimate of the sum over the
    catalog; the expected number of copies is the one to take when duplicates are kept.

    >>> round(float(tf.exp(log_inclusion(tf.math.log(0.5), 3))), 4)
    0.875

    Args:
        log_q: [n], log of the probability that one slot holds the entity.
        slots: scalar, at least 1.
    """
    return tf.math.log(-tf.math.expm1(tf.cast(slots, log_q.dtype) * tf.math.log1p(-tf.exp(log_q))))


def mixture_log_q(log_p: tf.Tensor, log_u: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
    """The mixture proposal, or balance heuristic (Veach and Guibas, 1995): log [(P p + N u) / (P + N)].

    The probability that one slot of a pool of P positives and N random negatives holds an entity, whichever source it
    came from. With own-source probabilities a pool of both counts the catalog twice; with this it is counted once, and
    with less variance.

    P = 3 positives with p = ½ for the entity, N = 1 random negative with u = ¼: (3·½ + ¼) / 4

    >>> round(float(tf.exp(mixture_log_q(tf.math.log(0.5), tf.math.log(0.25), 3, 1))), 4)
    0.4375

    Args:
        log_p: floating [n], log of the probability that one positive of the batch is the entity.
        log_u: floating [n] or scalar, log of the probability that one random negative is.
        positives: P, an integer scalar of the whole batch.
        negatives: N, likewise.

    Returns:
        [n], in the type of `log_p`.
    """
    positives, negatives = tf.cast(positives, log_p.dtype), tf.cast(negatives, log_p.dtype)
    from_batch, random = log_p + tf.math.log(positives), log_u + tf.math.log(negatives)
    expected = tf.maximum(from_batch, random) + tf.math.log1p(tf.exp(-tf.abs(from_batch - random)))
    return expected - tf.math.log(positives + negatives)
