"""The softmax over many columns, row chunk by row chunk, with its gradient found on the way."""

from contextlib import nullcontext
from typing import NamedTuple

import tensorflow as tf

CHUNK_SIZE = 1 << 21
"""Logits computed at once: few enough for the cache of a processor, enough to keep its matrix units busy."""

_FEWEST_ROWS = 128
"""Adding a chunk's share to the gradient of the columns must not cost more than computing it."""


class StreamedRows(NamedTuple):
    """What the softmax says about each row.

    Attributes:
        total: scalar, Σ w ℓ; the only one with a gradient.
        rows: [B], ℓ.
        uncertainty: [B], 1 − P̂(positive).
    """

    total: tf.Tensor
    rows: tf.Tensor
    uncertainty: tf.Tensor


def streamed_softmax(
    queries: tf.Tensor,
    columns: tf.Tensor,
    positive: tf.Tensor,
    column_offset: tf.Tensor,
    row_offset: tf.Tensor,
    weight: tf.Tensor,
    masked: tf.Tensor,
    hardest: int | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> StreamedRows:
    """−log of the positive's share of a softmax over itself and a row's valid columns.

        ℓ_i = softplus( log Σ_j exp(<q_i, c_j> + b_j) + a_i − z_i ),  j over the columns not masked for row i

    A row's gradient with respect to its logits is w σ P, σ = 1 − P̂(positive) and P the softmax over its columns alone.
    It needs nothing but the row itself, so the loss takes its gradient while the logits of a chunk of rows are at
    hand: three matrix products in all, none of them repeated, and nothing as large as B × n is ever kept.
    A row without any valid column has loss and gradient zero.

    Args:
        queries: float32 or float64 [B, d].
        columns: [n, d], of the same dtype, as all that follow.
        positive: [B], z, the logit of the positive.
        column_offset: [n], b.
        row_offset: [B], a.
        weight: [B], w.
        masked: int64 [m, 2], distinct (row, column) in ascending order of the rows.
        hardest: use only that many columns of each row, those with the largest logits, and those that equal the last.
        chunk_size: logits computed at once (more if it takes that for 128 rows).

    Returns:
        of the same dtype. `queries`, `columns` and `positive` have a gradient, the other arguments have none.
    """

    @tf.custom_gradient
    def total(queries, columns, positive):
        # Outside a graph the tape would keep every chunk, for a gradient that is never asked for.
        with tf.init_scope() if tf.executing_eagerly() else nullcontext():
            losses, uncertainty, query_gradient, column_gradient = _stream(
                queries, columns, positive, column_offset, row_offset, weight, masked, hardest, chunk_size
            )

        def gradient(upstream, *_):
            return upstream * query_gradient, upstream * column_gradient, -upstream * weight * uncertainty

        return (tf.reduce_sum(weight * losses), losses, uncertainty), gradient

    value, losses, uncertainty = total(queries, columns, positive)
    return StreamedRows(value, tf.stop_gradient(losses), tf.stop_gradient(uncertainty))


def _stream(queries, columns, positive, column_offset, row_offset, weight, masked, hardest, chunk_size):
    """Losses [B], uncertainties [B] and the gradients of Σ w ℓ for queries [B, d] and columns [n, d]."""
    dtype, rows, dimension = queries.dtype, tf.shape(queries)[0], tf.shape(queries)[1]
    most = tf.maximum(chunk_size // tf.maximum(tf.shape(columns)[0], 1), _FEWEST_ROWS)
    chunks = tf.maximum(-(-rows // most), 1)
    step = -(-rows // chunks)
    bounds = tf.minimum(tf.range(chunks + 1) * step, rows)
    masked_bounds = tf.searchsorted(masked[:, 0], tf.cast(bounds, tf.int64))
    # <[q, 1, 0], [c, b, 1]> is a logit with its offset, and P times the last column the sum of a row of P.
    extended = tf.concat([columns, column_offset[:, None], tf.ones_like(column_offset)[:, None]], 1)
    outputs = [
        tf.TensorArray(dtype, chunks, infer_shape=False, element_shape=shape)
        for shape in ([None], [None], [None, queries.shape[1]])
    ]

    def chunk(index, column_gradient, losses, uncertainty, query_gradient):
        begin, end = bounds[index], bounds[index + 1]
        own = queries[begin:end]
        one_zero = tf.one_hot(tf.zeros([end - begin], tf.int32), 2, dtype=dtype)
        logits = tf.matmul(tf.concat([own, one_zero], 1), extended, transpose_b=True)
        hidden = masked[masked_bounds[index] : masked_bounds[index + 1]] - [[1, 0]] * tf.cast(begin, tf.int64)
        logits = tf.tensor_scatter_nd_update(logits, hidden, tf.fill([tf.shape(hidden)[0]], dtype.min))
        if hardest is not None:
            logits = _largest(logits, hardest)
        # Where all is masked this is the least number there is, and the excess as well: loss and gradient are zero.
        largest = tf.reduce_max(logits, axis=1)
        shares = tf.exp(logits - largest[:, None])
        means = tf.matmul(shares, extended)
        sums = means[:, -1]
        excess = largest + tf.math.log(sums) + row_offset[begin:end] - positive[begin:end]
        chunk_uncertainty = tf.sigmoid(excess)
        share = tf.math.divide_no_nan(weight[begin:end] * chunk_uncertainty, sums)[:, None]
        return (
            index + 1,
            column_gradient + tf.matmul(shares, share * own, transpose_a=True),
            losses.write(index, tf.nn.softplus(excess)),
            uncertainty.write(index, chunk_uncertainty),
            query_gradient.write(index, share * means[:, :dimension]),
        )

    _, column_gradient, *outputs = tf.while_loop(
        lambda index, *_: index < chunks, chunk, [0, tf.zeros_like(columns), *outputs], parallel_iterations=1
    )
    losses, uncertainty, query_gradient = (output.concat() for output in outputs)
    return losses, uncertainty, query_gradient, column_gradient


def _largest(logits: tf.Tensor, count: int) -> tf.Tensor:
    """The `count` largest logits of each row and those that equal the last of them; the others masked."""
    smallest = tf.math.top_k(logits, tf.minimum(count, tf.shape(logits)[1])).values[:, -1:]
    return tf.where(logits < smallest, logits.dtype.min, logits)
