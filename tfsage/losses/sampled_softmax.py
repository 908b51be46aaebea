"""Sampled softmax with logQ correction: one loss per query row, as functions of arrays.

Notation: s_ij = <q_i, c_j> / τ with unit vectors, so that τ divides before log Q is subtracted; p(y) and u(y) are the
probabilities that one slot of the batch, or one random draw, holds the entity y. P in-batch candidates, N random ones.

Everything is computed in float32, or in float64 when the queries are float64, whatever the dtype of the towers.
A masked candidate has probability and gradient of exactly zero.
"""

import tensorflow as tf

from tfsage.losses.candidates import Candidates


def in_batch_rows(
    queries: tf.Tensor,
    query_ids: tf.Tensor,
    candidates: Candidates,
    scale: tf.Tensor | float = 1.0,
    *,
    refined: bool = False,
    mask_other_positives: bool = True,
    known_positives: tf.Tensor | None = None,
) -> tf.Tensor:
    """L_pos of ItemSage, eq. (2): the positives of the batch are each other's negatives.

        loss_i = −log [ exp(s_ii − log p_i) / Σ_j exp(s_ij − log p_j) ],  j over the in-batch candidates

    Every column is corrected, the positive too, and copies of the positive stay among the negatives: with both, the
    gradient tends to that of the full softmax as the batch grows (Yi et al., RecSys 2019). A constant factor in p
    cancels. The refined form does neither; see `refined_rows`.

    Args:
        queries: floating [B, d], of unit length.
        query_ids: int64 [B].
        candidates: whose first B are the positives of the rows.
        scale: 1 / τ, a scalar.
        refined: use the refined correction, with copies of the positive masked.
        mask_other_positives: other in-batch positives of the same query (equal `query_id`) are no negatives of it.
        known_positives: bool [B, n] over all candidates: further ones that are no negatives of a row's query.

    Returns:
        [B], float32 or float64, at least zero.

    Two queries with logits [[2, 1], [0, 3]] and p = (1/2, 1/4): the first loss is log(1 + (e / ¼) / (e² / ½)).

    >>> logits = tf.constant([[2.0, 1.0], [0.0, 3.0]])
    >>> pool = Candidates(tf.transpose(logits), tf.constant([7, 8]), tf.constant([1, 2]), tf.constant([0, 0]),
    ...                   tf.math.log([0.5, 0.25]), tf.ones([2]))
    >>> [round(float(row), 4) for row in in_batch_rows(tf.eye(2), tf.constant([1, 2]), pool)]
    [0.5514, 0.0246]
    """
    positives, _ = candidates.split()
    rows = tf.shape(queries)[0]
    logits = scaled_logits(queries, positives.embedding, scale)
    log_q = tf.cast(positives.log_q, logits.dtype)
    valid = tf.range(rows)[:, None] != tf.range(tf.shape(logits)[1])[None, :]
    if mask_other_positives:
        valid &= query_ids[:, None] != positives.query_id[None, :]
    if known_positives is not None:
        valid &= ~known_positives[:, : tf.shape(logits)[1]]
    if refined:
        valid &= positives.id[:rows, None] != positives.id[None, :]
    form = refined_rows if refined else corrected_rows
    return form(tf.linalg.diag_part(logits[:, :rows]), logits, log_q[:rows], log_q, valid)


def random_rows(
    queries: tf.Tensor,
    candidates: Candidates,
    scale: tf.Tensor | float = 1.0,
    *,
    refined: bool = False,
    known_positives: tf.Tensor | None = None,
) -> tf.Tensor:
    """L_neg of ItemSage, eq. (3): each positive against products drawn uniformly from the catalog.

        loss_i = −log [ exp(s_ii) / (exp(s_ii) + Σ_n exp(s_in)) ],  n over the random negatives other than y_i

    The positive is part of the denominator, since the loss would have no lower bound without it (the paper's sum,
    read literally, leaves it out). Copies of it among the negatives are masked: with the whole catalog as negatives
    the loss is then exactly the full softmax. log u is the same for every column and cancels; the refined form
    keeps it, see `refined_rows`.

    Args:
        queries: floating [B, d], of unit length.
        candidates: whose first B are the positives of the rows; its random negatives share one `log_q`.
        scale: 1 / τ, a scalar.
        refined: use the refined correction.
        known_positives: as in `in_batch_rows`.

    Returns:
        [B], float32 or float64, at least zero.

    One query, positive logit 2, random negatives with logits 1 and 2 of which the second is the positive again, so
    the loss is log(1 + e / e²):

    >>> pool = Candidates(tf.constant([[2.0], [1.0], [2.0]]), tf.constant([7, 8, 7]), tf.constant([1, -1, -1]),
    ...                   tf.constant([0, 1, 1]), tf.math.log([0.5, 0.1, 0.1]), tf.ones([3]))
    >>> [round(float(row), 4) for row in random_rows(tf.constant([[1.0]]), pool)]
    [0.3133]
    """
    rows = tf.shape(queries)[0]
    _, negatives = candidates.split()
    positive = _positive_logits(queries, candidates, scale)
    logits = scaled_logits(queries, negatives.embedding, scale)
    valid = candidates.id[:rows, None] != negatives.id[None, :]
    if known_positives is not None:
        valid &= ~known_positives[:, -tf.shape(logits)[1] :]
    if not refined:
        return softmax_rows(positive, logits, valid)
    log_u = tf.cast(tf.reduce_max(negatives.log_q), logits.dtype)
    return refined_rows(positive, logits, tf.fill([rows], log_u), log_u, valid)


def mixed_rows(
    queries: tf.Tensor,
    query_ids: tf.Tensor,
    candidates: Candidates,
    scale: tf.Tensor | float = 1.0,
    *,
    mask_other_positives: bool = True,
    known_positives: tf.Tensor | None = None,
) -> tf.Tensor:
    """L_mixed of ItemSage, eq. (4): one softmax over the in-batch and the random candidates.

    Each candidate is corrected by the number of its copies to be expected from its own source, P·p(y) or N·u(y);
    unlike in eq. (2) and (3), the factors P and N do not cancel. Copies of the positive are kept, as in eq. (2).

    Args, returns: as `in_batch_rows`.

    One query, alone in its batch, positive logit 2 with p = ½; one random negative, logit 1, u = 1/10:
    log(1 + (e / 0.1) / (e² / 0.5)).

    >>> pool = Candidates(tf.constant([[2.0], [1.0]]), tf.constant([7, 8]), tf.constant([1, -1]), tf.constant([0, 1]),
    ...                   tf.math.log([0.5, 0.1]), tf.ones([2]))
    >>> [round(float(row), 4) for row in mixed_rows(tf.constant([[1.0]]), tf.constant([1]), pool)]
    [1.0436]
    """
    rows = tf.shape(queries)[0]
    positives, negatives = candidates.split()
    logits = scaled_logits(queries, candidates.embedding, scale)
    expected = tf.concat([_log_expected(positives, logits.dtype), _log_expected(negatives, logits.dtype)], 0)
    valid = tf.range(rows)[:, None] != tf.range(tf.shape(logits)[1])[None, :]
    if mask_other_positives:
        is_positive = tf.range(tf.shape(logits)[1]) < tf.shape(positives.id)[0]
        valid &= ~(is_positive & (query_ids[:, None] == candidates.query_id[None, :]))
    if known_positives is not None:
        valid &= ~known_positives
    return corrected_rows(tf.linalg.diag_part(logits[:, :rows]), logits, expected[:rows], expected, valid)


def weighted_mean(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Σ w ℓ / Σ w over rows [B]: neither the batch size nor the scale of the weights changes it; zero if Σ w is."""
    weights = tf.cast(weights, losses.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))


def scaled_logits(queries: tf.Tensor, embeddings: tf.Tensor, scale: tf.Tensor | float) -> tf.Tensor:
    """scale · <q_i, c_j>: [B, n] in float32, or float64 when the queries are; never in half precision."""
    queries = _scaled(queries, scale)
    return tf.matmul(queries, tf.cast(embeddings, queries.dtype), transpose_b=True)


def corrected_rows(
    positive: tf.Tensor, negatives: tf.Tensor, positive_log_q: tf.Tensor, log_q: tf.Tensor, valid: tf.Tensor
) -> tf.Tensor:
    """Sampled softmax with every column corrected, the positive too (Yi et al., RecSys 2019).

        loss = −log [ exp(s⁺ − log q⁺) / (exp(s⁺ − log q⁺) + Σ_j exp(s_j − log q_j)) ]

    The samples must be kept as drawn: with copies of the positive masked, every gradient is too large by the factor
    1 / (1 − P(positive)) in the limit of many samples.

    Args:
        positive: [B], logits of the positives.
        negatives: [B, n], logits.
        positive_log_q: [B].
        log_q: [n] or [B, n], up to a constant that is also in `positive_log_q`.
        valid: bool [B, n]: which negatives count.

    Returns:
        [B], at least zero.
    """
    return softmax_rows(positive - positive_log_q, negatives - log_q, valid)


def refined_rows(
    positive: tf.Tensor, negatives: tf.Tensor, positive_log_q: tf.Tensor, log_q: tf.Tensor, valid: tf.Tensor
) -> tf.Tensor:
    """Sampled softmax in which the positive is no sample and is not corrected (Khrylchenko et al., RecSys 2025).

        loss = −log [ exp(s⁺) / (exp(s⁺) + Σ_j exp(s_j − log(n q_j / (1 − q⁺)))) ],  j over the n valid negatives

    Its gradient is that of the paper's −sg(1 − P̂)·[s⁺ − log Σ_j exp(s_j − log q'_j)], but its value is a
    cross-entropy, at least zero. Copies of the positive must be masked, and `log_q` must be absolute: here no
    constant cancels.

    Args, returns: as `corrected_rows`.
    """
    count = tf.reduce_sum(tf.cast(valid, negatives.dtype), axis=1)
    log_others = tf.math.log1p(-tf.exp(positive_log_q))
    return softmax_rows(positive, negatives - (tf.math.log(count) - log_others)[:, None] - log_q, valid)


def softmax_rows(positive: tf.Tensor, negatives: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """−log of the positive's share of a softmax over itself and the valid negatives: [B].

    Computed as log(1 + exp(logsumexp(negatives) − positive)), which keeps small losses exact and needs no copy of the
    logits with the positive in front. Without any valid negative the loss is zero.
    """
    negatives = tf.where(valid, negatives, negatives.dtype.min)
    return tf.nn.softplus(tf.reduce_logsumexp(negatives, axis=1) - positive)


def _scaled(queries: tf.Tensor, scale: tf.Tensor | float) -> tf.Tensor:
    dtype = tf.float64 if queries.dtype == tf.float64 else tf.float32
    return tf.cast(queries, dtype) * tf.cast(scale, dtype)


def _positive_logits(queries: tf.Tensor, candidates: Candidates, scale: tf.Tensor | float) -> tf.Tensor:
    queries = _scaled(queries, scale)
    return tf.reduce_sum(queries * tf.cast(candidates.embedding[: tf.shape(queries)[0]], queries.dtype), axis=1)


def _log_expected(source: Candidates, dtype: tf.DType) -> tf.Tensor:
    """log of the expected number of copies of each candidate among all slots of its source."""
    return tf.cast(source.log_q, dtype) + tf.math.log(tf.cast(tf.shape(source.id)[0], dtype))
