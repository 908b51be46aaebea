"""The losses as a TensorFlow Recommenders task."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfsage.config import LossConfig
from tfsage.losses.candidates import Candidates, HardNegatives, QueryRows, RowLosses
from tfsage.losses.hard_negatives import hard_negative_rows
from tfsage.losses.masks import other_positives
from tfsage.losses.prefixes import leading
from tfsage.losses.sampled_softmax import row_losses
from tfsage.losses.temperature import Temperature
from tfsage.losses.terms import Term, in_batch_term, mixed_term, random_term
from tfsage.losses.validation import check_dimension, check_loss

_TERMS = {
    "in_batch": [in_batch_term],
    "random": [random_term],
    "sum": [in_batch_term, random_term],
    "mixed": [mixed_term],
}


class SampledSoftmaxTask(tfrs.tasks.Retrieval):
    """Retrieval with sampled softmax and logQ correction (ItemSage §3.4).

    `negatives` chooses the terms of a row's loss: `in_batch` is eq. (2), `random` eq. (3), `sum` (the paper's choice)
    their sum, `mixed` one softmax over both. The other options say how they are corrected and what is masked
    (`tfsage.losses.terms`, `tfsage.losses.correction`); further terms are the same loss on the leading dimensions
    (`prefixes`) and against mined negatives.

        task = SampledSoftmaxTask(LossConfig())
        losses = task.total(rows, candidates)
        loss = losses.total / tf.reduce_sum(rows.weight)

    Args:
        config: the `loss` section of a config.

    Raises:
        TfsageError: the options contradict each other.
    """

    def __init__(self, config: LossConfig, name: str = "sampled_softmax"):
        check_loss(config)
        super().__init__(name=name)
        # Under a mixed precision policy Keras would cast the embeddings down before `call` sees them.
        self._autocast = False
        self._config = config
        self._softmax_temperature = Temperature(
            config.temperature, config.temperature_floor, config.temperature_cap, config.learn_temperature
        )

    def call(self, rows: QueryRows, candidates: Candidates) -> tf.Tensor:
        """Σ w ℓ / Σ w over the rows, a scalar; zero if Σ w is. Where a batch is divided, use `total`."""
        losses = self.total(rows, candidates)
        return tf.math.divide_no_nan(losses.total, tf.reduce_sum(tf.cast(rows.weight, losses.total.dtype)))

    def total(
        self,
        rows: QueryRows,
        candidates: Candidates,
        hard: HardNegatives | None = None,
        hard_weight: tf.Tensor | float = 0.0,
    ) -> RowLosses:
        """Σ w ℓ over the rows, which may be a part of the batch: the totals of its parts add up to that of the whole.

        The positive of a row of weight zero is a negative of the others all the same.

        Args:
            rows: the queries, each with the column of its own positive.
            candidates: the pool that every row is scored against, the same for all parts of a batch.
            hard: mined negatives of single rows.
            hard_weight: the weight of a row's loss against its own mined negatives.

        Returns:
            the losses; the uncertainty is that of the terms at full dimension.

        Raises:
            TfsageError: a prefix is not shorter than the embeddings, or `positive_correction: conditional` lacks
                its frequencies.
        """
        # Candidates gathered from replicas have lost their static shape.
        check_dimension(self._config, rows.embedding.shape[1])
        others = other_positives(rows, candidates) if self._config.mask_other_positives else None
        terms = [form(rows, candidates, self._config, others) for form in _TERMS[self._config.negatives]]
        result = self._at(None, terms, rows, candidates, hard, hard_weight)
        for dimensions, weight in sorted(self._config.prefixes.items()):
            part = self._at(dimensions, terms, rows, candidates, hard, hard_weight)
            result = result._replace(total=result.total + weight * part.total, rows=result.rows + weight * part.rows)
        return result

    def temperature(self) -> tf.Tensor:
        """τ, a scalar."""
        return self._softmax_temperature.value()

    def _at(
        self,
        dimensions: int | None,
        terms: list[Term],
        rows: QueryRows,
        candidates: Candidates,
        hard: HardNegatives | None,
        hard_weight: tf.Tensor | float,
    ) -> RowLosses:
        """The losses on the leading dimensions, or on all of them."""
        if dimensions is not None:
            rows, candidates, hard = (
                part and part._replace(embedding=leading(part.embedding, dimensions))
                for part in (rows, candidates, hard)
            )
        scale = self._softmax_temperature.scale()
        options = {"label_smoothing": self._config.label_smoothing, "hardest": self._config.hardest}
        result = row_losses(rows, candidates, terms, scale, **options)
        if hard is None:
            return result
        mined = tf.cast(hard_weight, result.rows.dtype) * hard_negative_rows(rows, candidates, hard, scale)
        total = result.total + tf.reduce_sum(tf.cast(rows.weight, mined.dtype) * mined)
        return result._replace(total=total, rows=result.rows + tf.stop_gradient(mined))
