"""Exact counts of dense ids."""

import tensorflow as tf

from tfsage.errors import TfsageError
from tfsage.losses.frequency.cells import integer_ids
from tfsage.losses.frequency.counters import Counters, Decay, Windows


class ExactFrequency(Counters):
    """One counter per id, for dense ids such as the row of a product in the catalog.

    Args:
        size: ids are in [0, size); 8 bytes each, and 8 more for every further window.
        aging: how old observations are forgotten; None if never.

    >>> frequency = ExactFrequency(3)
    >>> frequency.update(tf.constant([0, 2, 2, 2]))
    >>> [round(float(value), 4) for value in frequency.log_q(tf.constant([0, 2]))]  # log 1/4, log 3/4
    [-1.3863, -0.2877]
    """

    def __init__(self, size: int, aging: Decay | Windows | None = None, name: str = "exact_frequency"):
        super().__init__(size, aging, name)

    def cells_of(self, ids: tf.Tensor) -> tf.Tensor:
        return ids[None, :]

    def _checked(self, ids: tf.Tensor) -> tf.Tensor:
        ids = tf.convert_to_tensor(ids)
        if ids.dtype == tf.string:
            raise TfsageError(
                f"{self.name}: exact counts need dense integers in [0, {self._size}), got strings. "
                "Give the row of each entity, or count strings with a sketch (loss.frequency.kind: count_min)."
            )
        ids = integer_ids(ids)
        # Without this an id past the end would count as one of the next window.
        inside = tf.reduce_all((ids >= 0) & (ids < self._size))
        message = f"{self.name}: ids must be in [0, {self._size}), got:"
        tf.raw_ops.Assert(condition=inside, data=[message, ids], summarize=20)
        return ids
