"""The softmaxes of the loss: over the positives of the batch, over the random negatives, or over both at once.

P is the number of in-batch candidates, N of random ones; p(y) and u(y) are the probabilities that one slot of the
batch, or one random draw, holds the entity y. The worked examples have logits as embeddings, and queries that are
rows of the identity matrix.
"""

from typing import NamedTuple

import tensorflow as tf

from tfsage.config import LossConfig
from tfsage.errors import TfsageError
from tfsage.losses.candidates import IN_BATCH, RANDOM, Candidates, QueryRows
from tfsage.losses.correction import (
    Correction,
    all_corrected,
    conditional,
    log_expected,
    log_inclusion,
    refined,
    refined_distinct,
)
from tfsage.losses.masks import matches, own_columns, with_others


class Term(NamedTuple):
    """One softmax of every row, whatever the embeddings; `row_losses` computes it.

    Attributes:
        source: of the candidates that are its columns, `IN_BATCH` or `RANDOM`; None for all.
        correction: of the logits.
        votes: [n]: 1, or with duplicates left out 1 / the number of copies that the entity has among the columns.
        masked: int64 [m, 2], distinct (row, column) that are no negatives, in ascending order of the rows.
        negatives: [B], the votes of the columns that are not masked.
    """

    source: int | None
    correction: Correction
    votes: tf.Tensor
    masked: tf.Tensor
    negatives: tf.Tensor


def in_batch_term(rows: QueryRows, candidates: Candidates, loss: LossConfig, others: tf.Tensor | None = None) -> Term:
    """L_pos of ItemSage, eq. (2): the positives of the batch are each other's negatives.

        ℓ_i = −log [ e^(s_ii − log p_i) / Σ_j e^(s_ij − log p_j) ],  j over the in-batch candidates

    with copies of the positive among the negatives. Other forms mask them, or count every entity once (`duplicates`),
    and correct the positive differently (`positive_correction`); see `tfsage.losses.correction`.

    Two queries with logits [[2, 1], [0, 3]] and p = (1/2, 1/4): the first loss is log(1 + (e / ¼) / (e² / ½)).

    >>> ids = tf.constant([7, 8], tf.int64)
    >>> rows = QueryRows(tf.eye(2), ids, tf.constant([0, 1]), tf.ones([2]))
    >>> pool = Candidates(tf.transpose([[2.0, 1.0], [0.0, 3.0]]), ids, ids, tf.constant([0, 0]),
    ...                   tf.math.log([0.5, 0.25]), tf.ones([2]))
    >>> losses = row_losses(rows, pool, [in_batch_term(rows, pool, LossConfig())])
    >>> [round(float(row), 4) for row in losses.rows]
    [0.5514, 0.0246]

    Args:
        rows: the queries.
        candidates: the pool, of which the in-batch ones are used.
        loss: `duplicates`, `positive_correction`, `correction`, and whether the frequencies are those of the gap
            estimator.
        others: int64 [k, 2], distinct (row, id) that are no negatives, other than a row's own positive
            (`other_positives`).
    """
    layout = _layout(rows, candidates, IN_BATCH, loss, others)
    log_q = tf.cast(candidates.log_q[candidates.columns(IN_BATCH)], layout.votes.dtype)
    correction = _correction(loss, rows, log_q, tf.gather(log_q, rows.positive), layout.negatives, own_slot=1)
    return layout._replace(correction=correction)


def random_term(rows: QueryRows, candidates: Candidates, loss: LossConfig, others: tf.Tensor | None = None) -> Term:
    """L_neg of ItemSage, eq. (3): each positive against products drawn uniformly from the catalog.

        ℓ_i = −log [ e^(s_ii) / (e^(s_ii) + Σ_n e^(s_in)) ],  n over the random negatives other than y_i

    The positive is part of the denominator, since the loss would have no lower bound without it (the paper's sum,
    read literally, leaves it out). Copies of it among the negatives are masked whatever `duplicates` says: with the
    whole catalog as negatives the loss is then exactly the full softmax. log u, the same for every column, cancels
    when the positive is corrected too, and is absolute in the other forms.

    One query, positive logit 2, random negatives with logits 1 and 2 of which the second is the positive again, so
    the loss is log(1 + e / e²):

    >>> ids = tf.constant([7, 8, 7], tf.int64)
    >>> rows = QueryRows(tf.eye(1), ids[:1], tf.constant([0]), tf.ones([1]))
    >>> pool = Candidates(tf.transpose([[2.0, 1.0, 2.0]]), ids, ids, tf.constant([0, 1, 1]),
    ...                   tf.math.log([0.5, 0.1, 0.1]), tf.ones([3]))
    >>> losses = row_losses(rows, pool, [random_term(rows, pool, LossConfig())])
    >>> [round(float(row), 4) for row in losses.rows]
    [0.3133]

    Args: as `in_batch_term`; the random negatives share one `log_q`.
    """
    layout = _layout(rows, candidates, RANDOM, loss, others)
    log_q = tf.cast(candidates.log_q[candidates.columns(RANDOM)], layout.votes.dtype)
    log_u = tf.fill(tf.shape(rows.positive), tf.reduce_sum(log_q[:1]))
    correction = _correction(loss, rows, log_q, log_u, layout.negatives, own_slot=0)
    return layout._replace(correction=correction)


def mixed_term(rows: QueryRows, candidates: Candidates, loss: LossConfig, others: tf.Tensor | None = None) -> Term:
    """One softmax over the in-batch and the random candidates: ItemSage eq. (4), or the mixture proposal.

    With `proposal: own` each candidate is corrected by the number of its copies to be expected from its own source,
    c_j = log(P p_j) or log(N u_j), the positive too; unlike in eq. (2) and (3) the factors P and N do not cancel, and
    the catalog is counted twice (once by each source). With `proposal: mixture` the `log_q` of every candidate is
    that of one slot of the whole pool (`mixture_log_q`), and every form of `tfsage.losses.correction` goes.

    One query, alone in its batch, positive logit 2 with p = ½; one random negative, logit 1, u = 1/10: by its own
    source, log(1 + (e / 0.1) / (e² / 0.5)).

    >>> ids = tf.constant([7, 8], tf.int64)
    >>> rows = QueryRows(tf.eye(1), ids[:1], tf.constant([0]), tf.ones([1]))
    >>> pool = Candidates(tf.transpose([[2.0, 1.0]]), ids, ids, tf.constant([0, 1]),
    ...                   tf.math.log([0.5, 0.1]), tf.ones([2]))
    >>> losses = row_losses(rows, pool, [mixed_term(rows, pool, LossConfig())])
    >>> [round(float(row), 4) for row in losses.rows]
    [1.0436]

    Args: as `in_batch_term`, and `proposal`.
    """
    layout = _layout(rows, candidates, None, loss, others)
    log_q = tf.cast(candidates.log_q, layout.votes.dtype)
    if loss.proposal == "mixture":
        correction = _correction(loss, rows, log_q, tf.gather(log_q, rows.positive), layout.negatives, own_slot=1)
    else:
        in_batch = candidates.source == IN_BATCH
        positives = tf.math.count_nonzero(in_batch, dtype=tf.int32)
        slots = tf.where(in_batch, positives, tf.size(in_batch) - positives)
        expected = log_expected(loss.correction * log_q, slots)
        correction = all_corrected(expected, tf.gather(expected, rows.positive))
    return layout._replace(correction=correction)


def _layout(rows, candidates, source, loss, others) -> Term:
    """A term without its correction."""
    dtype = tf.float64 if rows.embedding.dtype == tf.float64 else tf.float32
    ids = candidates.id[candidates.columns(source)]
    if loss.duplicates == "dedup":
        _, entity, count = tf.unique_with_counts(ids)
        votes = 1.0 / tf.cast(tf.gather(count, entity), dtype)
    else:
        votes = tf.ones(tf.shape(ids), dtype)
    if loss.duplicates == "keep" and source != RANDOM:
        masked = own_columns(rows)
    else:
        masked = matches(tf.gather(candidates.id, rows.positive), ids)
    if others is not None:
        masked = with_others(masked, others, ids)
    hidden = tf.math.unsorted_segment_sum(tf.gather(votes, masked[:, 1]), masked[:, 0], tf.size(rows.positive))
    # Votes are fractions whose sum misses a whole number by rounding; none must stay where all are masked.
    negatives = tf.maximum(tf.reduce_sum(votes) - hidden, 0.0)
    return Term(source, None, votes, masked, negatives)


def _correction(loss, rows, log_q, positive_log_q, negatives, own_slot: int) -> Correction:
    """The form that the config asks for, over slots drawn alike, `own_slot` of which is the row's own."""
    slots = tf.size(log_q)
    distinct = loss.duplicates == "dedup"
    if loss.positive_correction == "none":
        if distinct:
            return refined_distinct(_inclusion(loss, log_q, slots - own_slot, own_slot), tf.size(rows.positive))
        return refined(log_q, positive_log_q, negatives)
    if loss.positive_correction == "conditional":
        if rows.conditional_log_q is None:
            raise TfsageError(
                "loss.positive_correction 'conditional' needs QueryRows.conditional_log_q, the log frequency of each "
                "positive among the positives of its query: pass it, or set positive_correction: all."
            )
        expected = _inclusion(loss, log_q, slots, own_slot) if distinct else log_expected(log_q, slots)
        return conditional(expected, tf.cast(rows.conditional_log_q, log_q.dtype))
    if distinct:
        log_q, positive_log_q = (_inclusion(loss, part, slots, own_slot) for part in (log_q, positive_log_q))
    return all_corrected(loss.correction * log_q, loss.correction * positive_log_q)


def _inclusion(loss, log_q, slots, in_batch: int) -> tf.Tensor:
    """log of the probability that any slot holds an entity; the gap estimator gives that of the batch as it is."""
    if in_batch and loss.frequency.kind == "gap":
        return log_q
    return log_inclusion(log_q, tf.maximum(slots, 1))
