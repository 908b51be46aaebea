"""Mined hard negatives: a softmax of every row over its positive and the negatives mined for it."""

import tensorflow as tf

from tfsage.losses.candidates import Candidates, HardNegatives, QueryRows
from tfsage.losses.sampled_softmax import compute_cast


def hard_negative_rows(
    rows: QueryRows, candidates: Candidates, hard: HardNegatives, scale: tf.Tensor | float = 1.0
) -> tf.Tensor:
    """−log of the positive's share of a softmax over itself and the row's own hard negatives.

        ℓ_i = log(1 + Σ_h e^(s_ih − s⁺_i)),  h over the hard negatives of row i

    They are chosen for their similarity, not drawn with a known probability, so there is no log Q to take off.

    One query with positive logit 2 and hard negatives of logits 1 and 2: log(1 + 1/e + 1).

    >>> ids = tf.constant([7], tf.int64)
    >>> rows = QueryRows(tf.constant([[1.0]]), ids, tf.constant([0]), tf.ones([1]))
    >>> pool = Candidates(tf.constant([[2.0]]), ids, ids, tf.constant([0]), tf.zeros([1]), tf.ones([1]))
    >>> mined = HardNegatives(tf.constant([0, 0]), tf.constant([[1.0], [2.0]]))
    >>> [round(float(row), 4) for row in hard_negative_rows(rows, pool, mined)]
    [0.862]

    Returns:
        [B], float32 or float64; zero, with gradient zero, for a row without any.
    """
    queries = compute_cast(rows.embedding)
    queries *= tf.cast(scale, queries.dtype)
    embeddings, mined = tf.cast(candidates.embedding, queries.dtype), tf.cast(hard.embedding, queries.dtype)
    positive = tf.reduce_sum(queries * tf.gather(embeddings, rows.positive), axis=1)
    excess = tf.reduce_sum(tf.gather(queries, hard.row) * mined, axis=1) - tf.gather(positive, hard.row)
    count = tf.size(rows.positive)
    # The largest of a row's own, and zero, which stands for the positive.
    largest = tf.stop_gradient(tf.maximum(tf.math.unsorted_segment_max(excess, hard.row, count), 0.0))
    summed = tf.math.unsorted_segment_sum(tf.exp(excess - tf.gather(largest, hard.row)), hard.row, count)
    return largest + _log_sum(largest, summed)


def _log_sum(largest: tf.Tensor, summed: tf.Tensor) -> tf.Tensor:
    """log(e^−largest + summed), exact to the last digit also where it is close to zero."""
    return tf.where(largest > 0.0, tf.math.log(tf.exp(-largest) + summed), tf.math.log1p(summed))
