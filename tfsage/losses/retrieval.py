"""The losses as a TensorFlow Recommenders task."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfsage.config import LossConfig
from tfsage.losses.candidates import Candidates, HardNegatives, QueryRows, RowLosses
from tfsage.losses.sampled_softmax import in_batch_rows, mixed_rows, random_rows, weighted_mean
from tfsage.losses.temperature import Temperature
from tfsage.losses.validation import check_loss


class SampledSoftmaxTask(tfrs.tasks.Retrieval):
    """Retrieval with sampled softmax and logQ correction (ItemSage §3.4).

    `negatives` chooses the loss of a row: `in_batch` is eq. (2), `random` eq. (3), `sum` (the paper's choice) their
    sum, `mixed` eq. (4). `duplicates: mask` with `positive_correction: none` is the refined form of both terms.

        task = SampledSoftmaxTask(LossConfig())
        loss = task(query_embeddings, query_ids, candidates, sample_weight)

    Args:
        config: the `loss` section of a config.

    Raises:
        TfsageError: the options contradict each other.
    """

    def __init__(self, config: LossConfig, name: str = "sampled_softmax"):
        check_loss(config)
        super().__init__(name=name)
        # Under a mixed precision policy Keras would cast the queries down before `call` sees them.
        self._autocast = False
        self._config = config
        self._softmax_temperature = Temperature(config.temperature, config.temperature_floor, config.learn_temperature)

    def call(
        self,
        query_embeddings: tf.Tensor,
        query_ids: tf.Tensor,
        candidates: Candidates,
        sample_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Σ w ℓ / Σ w over the rows, a scalar. The positive of a row of weight zero is still a negative of the others.

        Args:
            query_embeddings: floating [B, d], of unit length.
            query_ids: int64 [B].
            candidates: whose first B are the positives of the rows.
            sample_weight: floating [B]; the weights of the positives in `candidates` when it is left out.
        """
        losses = self.row_losses(query_embeddings, query_ids, candidates)
        weights = candidates.weight[: tf.shape(losses)[0]] if sample_weight is None else sample_weight
        return weighted_mean(losses, weights)

    def row_losses(
        self,
        query_embeddings: tf.Tensor,
        query_ids: tf.Tensor,
        candidates: Candidates,
        known_positives: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The unweighted loss of each row, [B]: float32, or float64 when the queries are.

        Args:
            query_embeddings, query_ids, candidates: as for a call.
            known_positives: bool [B, n], candidates that are other positives of a row's query by what else is known;
                left alone unless the config says `mask_other_positives`.
        """
        scale = self._softmax_temperature.scale()
        refined = self._config.positive_correction == "none"
        mask_others = self._config.mask_other_positives
        known = known_positives if mask_others else None
        same_query = {"mask_other_positives": mask_others, "known_positives": known}
        if self._config.negatives == "mixed":
            return mixed_rows(query_embeddings, query_ids, candidates, scale, **same_query)
        losses = []
        if self._config.negatives in ("sum", "in_batch"):
            losses.append(in_batch_rows(query_embeddings, query_ids, candidates, scale, refined=refined, **same_query))
        if self._config.negatives in ("sum", "random"):
            losses.append(random_rows(query_embeddings, candidates, scale, refined=refined, known_positives=known))
        return tf.add_n(losses)

    def total(
        self,
        rows: QueryRows,
        candidates: Candidates,
        hard: HardNegatives | None = None,
        hard_weight: tf.Tensor | float = 0.0,
    ) -> RowLosses:
        """Σ w ℓ over the rows, with the losses of the rows.

        Args:
            rows: the queries, each with the column of its own positive.
            candidates: the pool that every row is scored against.
            hard: mined negatives of single rows.
            hard_weight: the weight of a row's loss against its own mined negatives.
        """
        columns = tf.range(tf.size(candidates.id))
        first = tf.scatter_nd(rows.positive[:, None], tf.ones_like(rows.positive), [tf.size(candidates.id)])
        order = tf.concat([rows.positive, tf.boolean_mask(columns, first == 0)], 0)
        pool = Candidates(*(tf.gather(part, order) for part in candidates))
        known = tf.zeros([0, 2], tf.int64) if rows.known is None else rows.known
        equal = tf.scatter_nd(
            known[:, :1],
            tf.cast(known[:, 1:] == pool.id, tf.int32),
            tf.shape(tf.zeros([tf.size(rows.query_id), tf.size(columns)]), tf.int64),
        )
        losses = self.row_losses(rows.embedding, rows.query_id, pool, equal > 0)
        weights = tf.cast(rows.weight, losses.dtype)
        terms = 2.0 if self._config.negatives == "sum" else 1.0
        return RowLosses(
            tf.reduce_sum(weights * losses),
            tf.stop_gradient(losses),
            tf.fill([tf.size(rows.query_id)], tf.cast(tf.size(columns) - 1, tf.float32)),
            tf.stop_gradient(1.0 - tf.exp(-losses / terms)),
        )

    def temperature(self) -> tf.Tensor:
        """τ, a float32 scalar."""
        return self._softmax_temperature.value()
