"""Which candidates are no negatives of a row: found by joining ids, so that no [B, n] mask is ever made."""

import tensorflow as tf

from tfsage.losses.candidates import IN_BATCH, Candidates, QueryRows
from tfsage.text.bags import bag_of_position


def matches(row_ids: tf.Tensor, column_ids: tf.Tensor) -> tf.Tensor:
    """All (row, column) with equal ids, by sorting the columns; memory grows with the number of matches.

    >>> matches(tf.constant([7, 8, 7]), tf.constant([9, 7, 7])).numpy().tolist()
    [[0, 1], [0, 2], [2, 1], [2, 2]]

    Args:
        row_ids: int64 [B].
        column_ids: int64 [n].

    Returns:
        int64 [m, 2], in ascending order.
    """
    order = tf.argsort(column_ids, stable=True)
    ordered = tf.gather(column_ids, order)
    first = tf.searchsorted(ordered, row_ids, side="left")
    count = tf.searchsorted(ordered, row_ids, side="right") - first
    total = tf.reduce_sum(count)
    row = bag_of_position(count, total)
    place = tf.range(total) + tf.gather(first - tf.cumsum(count, exclusive=True), row)
    return tf.cast(tf.stack([row, tf.gather(order, place)], 1), tf.int64)


def other_positives(rows: QueryRows, candidates: Candidates) -> tf.Tensor:
    """The (row, id) of the other positives of each row's query: those in the batch, and those of `rows.known`.

    The row's own positive is never among them: whether its copies count as negatives is a matter of its own.

    Returns:
        int64 [m, 2], distinct.
    """
    same = matches(rows.query_id, candidates.query_id[candidates.columns(IN_BATCH)])
    pairs = tf.stack([same[:, 0], tf.gather(candidates.id, same[:, 1])], 1)
    if rows.known is not None:
        pairs = tf.concat([pairs, rows.known], 0)
    own = tf.gather(candidates.id, tf.gather(rows.positive, pairs[:, 0]))
    return tf.raw_ops.UniqueV2(x=tf.boolean_mask(pairs, pairs[:, 1] != own), axis=[0])[0]


def own_columns(rows: QueryRows) -> tf.Tensor:
    """Where each row's own positive is: int64 [B, 2]."""
    return tf.cast(tf.stack([tf.range(tf.size(rows.positive)), rows.positive], 1), tf.int64)


def with_others(masked: tf.Tensor, others: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Masks the columns of further (row, id) as well.

    Args:
        masked: int64 [m, 2], distinct (row, column).
        others: int64 [k, 2], distinct (row, id), of none of the columns that are masked already.
        ids: int64 [n], of the columns.

    Returns:
        int64 [m', 2], distinct (row, column) in ascending order of the rows.
    """
    found = matches(others[:, 1], ids)
    found = tf.stack([tf.gather(others[:, 0], found[:, 0]), found[:, 1]], 1)
    masked = tf.concat([masked, found], 0)
    return tf.gather(masked, tf.argsort(masked[:, 0], stable=True))
