"""The streaming estimator of gaps between batches."""

import tensorflow as tf

from tfsage.losses.frequency.cells import hashed_cells, integer_ids, mixer_seeds, read_cells


class GapEstimator(tf.Module):
    """Frequency from the gap between the batches that hold an id (Yi et al., RecSys 2019, algorithm 2).

    At step t, for each distinct id of the batch, in each row: E ← (1 − α) E + α (t − A), A ← t, where A is the step
    at which the cell was last seen and E its mean gap. Collisions only shorten gaps, so the estimate is 1 / max E.

    It needs no total and follows drift, but what it estimates is the rate of batches that hold the id, whatever the
    number of copies: it goes with candidates of which each entity occurs once (`loss.duplicates: dedup`). The relative
    standard deviation of an estimate is about √(α / 2); until an id was seen some 1 / α times, E₀ still shows.
    With α = ½ and E₀ = 10, an id seen at steps 1, 3, 5 and 9 has E = 5.5, 3.75, 2.875 and 3.4375.

    Args:
        width: cells per row, 12 bytes each.
        depth: rows.
        rate: α.
        initial_gap: E₀, in batches.
        seed: of the hash functions; they are kept in the checkpoint.
    """

    inclusion = True
    """`log_q` is of the probability that a batch holds the id at all, in any of its slots."""

    def __init__(
        self,
        width: int = 1 << 20,
        depth: int = 4,
        rate: float = 0.01,
        initial_gap: float = 1000.0,
        seed: int = 0,
        name: str = "gap_estimator",
    ):
        super().__init__(name=name)
        self._width, self._rate = width, rate
        self._seeds = mixer_seeds(depth, seed)
        self._gap = tf.Variable(tf.fill([width * depth], initial_gap), trainable=False, name="gap", dtype=tf.float32)
        self._seen = tf.Variable(tf.zeros([width * depth], tf.int64), trainable=False, name="seen")
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

    def update(self, ids: tf.Tensor) -> None:
        """Takes one batch of ids, integer or string [n], into account; copies of an id count once."""
        self._step.assign_add(1)
        # Ids that share a cell, copies included, all write the same value there.
        cells = tf.reshape(self._cells_of(ids), [-1])
        elapsed = tf.cast(self._step - read_cells(self._seen, cells), tf.float32)
        gap = (1.0 - self._rate) * read_cells(self._gap, cells) + self._rate * elapsed
        self._gap.scatter_update(tf.IndexedSlices(gap, cells))
        self._seen.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(cells), self._step.read_value()), cells))

    def gap(self, ids: tf.Tensor) -> tf.Tensor:
        """The estimated mean number of batches from one that holds the id to the next, float32 [n]."""
        return tf.reduce_max(read_cells(self._gap, self._cells_of(ids)), axis=0)

    def log_q(self, ids: tf.Tensor) -> tf.Tensor:
        """Log of the estimated share of batches that hold the id, float32 [n]."""
        return -tf.math.log(self.gap(ids))

    def _cells_of(self, ids: tf.Tensor) -> tf.Tensor:
        return hashed_cells(integer_ids(ids), self._seeds, self._width)
