"""A pool of candidates: all tasks with the same candidate tower, their frequencies and their loss."""

import tensorflow as tf

from tfsage.config import LossConfig
from tfsage.losses import (
    IN_BATCH,
    RANDOM,
    Candidates,
    HardNegatives,
    QueryRows,
    RowLosses,
    SampledSoftmaxTask,
    build_conditional_frequency,
    build_frequency,
    mixture_log_q,
)
from tfsage.training import replicas


class CandidatePool(tf.Module):
    """The loss of the pairs of one pool, against the candidates of all replicas.

    Entities of different pools never share a softmax, nor an estimate of their frequencies.

    Args:
        loss: the `loss` section of a config.
        catalog_size: entities that random negatives are drawn from.
    """

    def __init__(self, loss: LossConfig, catalog_size: int, name: str):
        super().__init__(name=name)
        self._task = SampledSoftmaxTask(loss)
        self._mixture = loss.proposal == "mixture"
        self.frequency = build_frequency(loss.frequency, catalog_size)
        self._conditional = None
        if loss.positive_correction == "conditional":
            self._conditional = build_conditional_frequency(loss.frequency)
        self._log_u = -tf.math.log(tf.cast(catalog_size, tf.float32))

    @property
    def temperature(self) -> tf.Tensor:
        """τ, a float32 scalar."""
        return self._task.temperature()

    def losses(
        self, pairs: dict, queries: tf.Tensor, embeddings: tf.Tensor, hard_weight: tf.Tensor | float, training: bool
    ) -> RowLosses:
        """The losses of a replica's own pairs; frequencies are brought up to date first, in training.

        Args:
            pairs: of one pool, as in a batch (`TrainingBatches`).
            queries: [n, d], the embeddings of all query towers one after the other.
            embeddings: [P + N + H, d], of positives, random and hard negatives.
            hard_weight: of the loss against the hard negatives.
            training: whether to count the pairs.
        """
        sizes = [tf.size(pairs[name]) for name in ("candidate_id", "negative_id", "hard_id")]
        pooled, hard = tf.split(embeddings, [sizes[0] + sizes[1], sizes[2]])
        ids = replicas.gather(tf.stack([pairs["candidate_id"], pairs["query_id"]], axis=1))
        positive_id, query_id, negative_id = ids[:, 0], ids[:, 1], replicas.gather(pairs["negative_id"])
        if training:
            self._count(query_id, positive_id)
        candidates = Candidates(
            embedding=replicas.gather_parts(pooled, sizes[:2]),
            id=tf.concat([positive_id, negative_id], 0),
            query_id=tf.concat([query_id, tf.fill(tf.shape(negative_id), tf.constant(-1, tf.int64))], 0),
            source=tf.concat([tf.fill(tf.shape(positive_id), IN_BATCH), tf.fill(tf.shape(negative_id), RANDOM)], 0),
            log_q=self._log_q(positive_id, negative_id),
            weight=tf.concat([replicas.gather(pairs["weight"]), tf.ones(tf.shape(negative_id))], 0),
        )
        rows = QueryRows(
            embedding=tf.gather(queries, pairs["query_row"]),
            query_id=pairs["query_id"],
            positive=replicas.first_row(sizes[0]) + tf.range(sizes[0]),
            weight=pairs["weight"],
            conditional_log_q=self._conditional and self._conditional.log_q(pairs["query_id"], pairs["candidate_id"]),
            known=pairs["known"],
        )
        return self._task.total(rows, candidates, HardNegatives(pairs["hard_row"], hard), hard_weight)

    def _count(self, query_id: tf.Tensor, positive_id: tf.Tensor) -> None:
        self.frequency.update(positive_id)
        if self._conditional is not None:
            self._conditional.update(query_id, positive_id)

    def _log_q(self, positive_id: tf.Tensor, negative_id: tf.Tensor) -> tf.Tensor:
        if not self._mixture:
            return tf.concat([self.frequency.log_q(positive_id), tf.fill(tf.shape(negative_id), self._log_u)], 0)
        log_p = self.frequency.log_q(tf.concat([positive_id, negative_id], 0))
        return mixture_log_q(log_p, self._log_u, tf.size(positive_id), tf.size(negative_id))
