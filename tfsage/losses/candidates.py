"""The pool of candidates that a batch of queries is scored against."""

from typing import NamedTuple

import tensorflow as tf

IN_BATCH = 0
"""`Candidates.source` of the positives of the batch."""

RANDOM = 1
"""`Candidates.source` of products drawn uniformly from the catalog."""


class Candidates(NamedTuple):
    """The columns of the logit matrix, one candidate each, with all that the losses must know about it.

    The first B candidates are the positives of the B query rows, in the order of the rows; then come the positives
    of other rows, if the batch is a part of a larger one; the random negatives come last. All tasks that share a
    candidate tower share one pool, so that the positives of one task are negatives of the others (ItemSage fig. 4).

    Attributes:
        embedding: floating [n, d], of unit length.
        id: int64 [n]; equal ids are the same entity.
        query_id: int64 [n]: the query that a positive belongs to; the value does not matter for random negatives.
        source: int32 [n], `IN_BATCH` or `RANDOM`.
        log_q: floating [n]: log of the probability that one slot of the candidate's own source holds this entity:
            for a positive, its frequency among the positives of training; for a random negative, −log |catalog|.
        weight: floating [n]: the weight of the pair that a positive belongs to; unused for random negatives.
    """

    embedding: tf.Tensor
    id: tf.Tensor
    query_id: tf.Tensor
    source: tf.Tensor
    log_q: tf.Tensor
    weight: tf.Tensor

    def split(self) -> tuple["Candidates", "Candidates"]:
        """The in-batch candidates and the random negatives."""
        in_batch = tf.math.count_nonzero(self.source == IN_BATCH, dtype=tf.int32)
        return Candidates(*(part[:in_batch] for part in self)), Candidates(*(part[in_batch:] for part in self))
