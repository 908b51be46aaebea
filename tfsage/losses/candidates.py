"""What the losses are computed from, and what they give back."""

from typing import NamedTuple

import tensorflow as tf

IN_BATCH = 0
"""`Candidates.source` of the positives of the batch."""

RANDOM = 1
"""`Candidates.source` of products drawn uniformly from the catalog."""


class Candidates(NamedTuple):
    """The columns of the logit matrix, one candidate each, with all that the losses must know about it.

    The positives of the batch (`IN_BATCH`) come first, the random negatives (`RANDOM`) last. All tasks that share a
    candidate tower share one pool, so that the positives of one task are negatives of the others (ItemSage fig. 4).

    Attributes:
        embedding: floating [n, d], of unit length.
        id: int64 [n]; equal ids are the same entity.
        query_id: int64 [n]: the query that a positive belongs to; the value does not matter for random negatives.
        source: int32 [n], `IN_BATCH` or `RANDOM`.
        log_q: floating [n]: log of the probability that one slot of the candidate's own source holds this entity:
            for a positive, its frequency among the positives of training; for a random negative, −log |catalog|.
            With `proposal: mixture`, for every candidate that of one slot of the whole pool (`mixture_log_q`). With
            the gap estimator, for a positive the probability that the batch holds the entity at all.
        weight: floating [n]: the weight of the pair that a positive belongs to; unused for random negatives.
    """

    embedding: tf.Tensor
    id: tf.Tensor
    query_id: tf.Tensor
    source: tf.Tensor
    log_q: tf.Tensor
    weight: tf.Tensor

    def columns(self, source: int | None) -> slice:
        """Where the candidates of one source are, or of all."""
        if source is None:
            return slice(None)
        in_batch = tf.math.count_nonzero(self.source == IN_BATCH, dtype=tf.int32)
        return slice(in_batch) if source == IN_BATCH else slice(in_batch, None)


class QueryRows(NamedTuple):
    """The rows of the logit matrix, one pair of a query and its positive each: the whole batch, or a part of it.

    Attributes:
        embedding: floating [B, d], of unit length.
        query_id: int64 [B]; equal ids are the same query.
        positive: int32 [B]: the column of the candidate that is the row's own positive.
        weight: floating [B].
        conditional_log_q: floating [B] or None: log of the positive's frequency among the positives of its own query,
            which `positive_correction: conditional` needs.
        known: int64 [m, 2] or None: (row, id) of candidates that are positives of the row's query as well, by what
            else is known, and so are no negatives of the row.
    """

    embedding: tf.Tensor
    query_id: tf.Tensor
    positive: tf.Tensor
    weight: tf.Tensor
    conditional_log_q: tf.Tensor | None = None
    known: tf.Tensor | None = None


class HardNegatives(NamedTuple):
    """Mined negatives, each scored against one row only.

    Attributes:
        row: int32 [H], in [0, B).
        embedding: floating [H, d], of unit length.
    """

    row: tf.Tensor
    embedding: tf.Tensor


class RowLosses(NamedTuple):
    """The loss of a batch, and what a person wants to see of it.

    All are float32, or float64 when the queries are; only the total has a gradient.

    Attributes:
        total: scalar, Σ w ℓ over the rows.
        rows: [B], ℓ.
        negatives: [B], how many negatives each row had after masking, all terms together; the copies of an entity
            count as one where duplicates are left out.
        uncertainty: [B], 1 − P̂(positive), the mean over the terms.
    """

    total: tf.Tensor
    rows: tf.Tensor
    negatives: tf.Tensor
    uncertainty: tf.Tensor
