"""The loss of every row by softmaxes over samples, in float32 or float64 whatever the dtype of the towers."""

from collections.abc import Sequence

import tensorflow as tf

from tfsage.losses.candidates import IN_BATCH, RANDOM, Candidates, QueryRows, RowLosses
from tfsage.losses.kernel import CHUNK_SIZE, streamed_softmax
from tfsage.losses.terms import Term


def row_losses(
    rows: QueryRows,
    candidates: Candidates,
    terms: Sequence[Term],
    scale: tf.Tensor | float = 1.0,
    *,
    label_smoothing: float = 0.0,
    hardest: int | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> RowLosses:
    """The sum over the terms of −log of the share of each row's positive, corrected as the term says.

        ℓ_i = −log [ e^(z⁺_i) / (e^(z⁺_i) + Σ_j e^(z_ij)) ],  j over the columns of the term not masked for row i,
        z⁺_i = s⁺_i − c⁺_i,  z_ij = s_ij − c_j + a_i,  s = scale · <q, c>

    Computed as softplus(logsumexp_j(z_ij) − z⁺_i), which keeps small losses exact. A row without any negative has
    loss and gradient zero, a masked candidate a gradient of exactly zero.

    Args:
        rows: the queries; their embeddings and the scale have a gradient.
        candidates: the pool, in-batch ones first; its embeddings have a gradient.
        terms: what to compute, at least one: `in_batch_term`, `random_term` or `mixed_term` make them.
        scale: 1 / τ, a scalar; it divides before log Q is taken off.
        label_smoothing: ε: the target of the positive is 1 − ε, and ε is spread evenly over the positive and the row's
            negatives; the loss is the cross-entropy with that target (Szegedy et al., 2016).
        hardest: use only that many negatives of each row, those with the largest z, and those that equal the last of
            them: the largest summands of the softmax. Copies of an entity are negatives of their own here.
        chunk_size: logits computed at once.
    """
    queries = compute_cast(rows.embedding)
    queries *= tf.cast(scale, queries.dtype)
    weight = tf.cast(rows.weight, queries.dtype)
    columns = _columns(candidates, tf.cast(candidates.embedding, queries.dtype), {term.source for term in terms})
    own = tf.gather(columns[None if None in columns else IN_BATCH], rows.positive)
    positive = tf.reduce_sum(queries * own, axis=1)
    parts = []
    for term in terms:
        corrected = positive - term.correction.positive
        offset = tf.math.log(term.votes) - term.correction.columns
        # One term after the other: side by side they would need twice the memory, and be no faster.
        with tf.control_dependencies([part.total for part in parts]):
            streamed = streamed_softmax(
                queries,
                columns[term.source],
                corrected,
                offset,
                term.correction.rows,
                weight,
                term.masked,
                hardest,
                chunk_size,
            )
        total, losses, negatives = streamed.total, streamed.rows, term.negatives
        if label_smoothing:
            smoothing = label_smoothing * _distance_to_mean(queries, columns[term.source], corrected, term)
            total += tf.reduce_sum(weight * smoothing)
            losses += tf.stop_gradient(smoothing)
        if hardest is not None:
            negatives = tf.minimum(negatives, tf.cast(hardest, negatives.dtype))
        parts.append(RowLosses(total, losses, negatives, streamed.uncertainty / len(terms)))
    return RowLosses(*map(tf.add_n, zip(*parts, strict=True)))


def _columns(candidates: Candidates, embeddings: tf.Tensor, sources: set[int | None]) -> dict[int | None, tf.Tensor]:
    """Source → its candidates' embeddings, for None all of them; the parts share the memory of the whole."""
    if None in sources:
        return {None: embeddings}
    in_batch = tf.math.count_nonzero(candidates.source == IN_BATCH, dtype=tf.int32)
    first, last = tf.split(embeddings, [in_batch, tf.shape(embeddings)[0] - in_batch])
    return {IN_BATCH: first, RANDOM: last}


def compute_cast(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor in float32, or float64 if it is that already: what every loss is computed in."""
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def _distance_to_mean(queries: tf.Tensor, columns: tf.Tensor, positive: tf.Tensor, term: Term) -> tf.Tensor:
    """z⁺_i less the mean of z over the positive and the negatives of row i: [B].

    The sum over all columns is that of their embeddings times the query; the masked ones are taken off again as a
    sparse matrix. So nothing of the size [B, n] is needed.
    """
    offset = -term.votes * term.correction.columns
    summed = tf.tensordot(queries, tf.reduce_sum(term.votes[:, None] * columns, axis=0), 1) + tf.reduce_sum(offset)
    shape = tf.cast(tf.stack([tf.shape(queries)[0], tf.shape(columns)[0]]), tf.int64)
    votes = tf.sparse.SparseTensor(term.masked, tf.gather(term.votes, term.masked[:, 1]), shape)
    summed -= tf.reduce_sum(queries * tf.sparse.sparse_dense_matmul(votes, columns), axis=1)
    summed -= tf.math.unsorted_segment_sum(
        tf.gather(offset, term.masked[:, 1]), term.masked[:, 0], tf.shape(queries)[0]
    )
    summed += term.negatives * term.correction.rows
    return positive - (positive + summed) / (1.0 + term.negatives)
