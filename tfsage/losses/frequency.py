"""How often each entity occurs in training, counted while training goes on; its log is the log Q of the losses.

Every estimator is a `tf.Module` whose whole state is in variables, so that a checkpoint holds it. `update(ids)` is
called once per logical batch, before `log_q(ids)`; both work inside a `tf.function`.
"""

import tensorflow as tf

from tfsage.config import FrequencyConfig
from tfsage.text.splitmix import splitmix64

EXACT_LIMIT = 50_000_000
"""Up to this many ids `frequency: auto` counts exactly, at 8 bytes each."""

# Counters are integers that count in units of 2^-16: sums are exact and independent of the order (float32 counters
# stop at 2^24), yet decay can take an id that was seen once to half an observation rather than to none.
_UNIT = 1 << 16


class _Counters(tf.Module):
    """Counts of observations and their total; subclasses say which cells belong to an id."""

    def __init__(self, cells: int, name: str):
        super().__init__(name=name)
        self._cells = tf.Variable(tf.zeros([cells], tf.int64), trainable=False, name="cells")
        self._total = tf.Variable(0, dtype=tf.int64, trainable=False, name="total")

    @property
    def total(self) -> tf.Tensor:
        """The (decayed) number of ids counted so far, a float64 scalar."""
        return tf.cast(self._total, tf.float64) / _UNIT

    def log_q(self, ids: tf.Tensor) -> tf.Tensor:
        """log(count / total), the log of the probability that one slot of a batch holds the id.

        There is no floor: a rare id keeps its own log Q. An id that was never counted gets that of one observation.

        Args:
            ids: integer [n].

        Returns:
            float32 [n].
        """
        count = self.count(ids)
        unseen = -tf.math.log(tf.maximum(self.total, 1.0))
        return tf.cast(tf.where(count > 0.0, tf.math.log(count / self.total), unseen), tf.float32)

    def decay(self, factor: float) -> None:
        """Multiplies every count and the total, so that older observations weigh less; log Q stays as it is.

        It passes over all counters: call it once an epoch or so, not once a step.
        """
        for counters in (self._cells, self._total):
            counters.assign(tf.cast(tf.round(tf.cast(counters, tf.float64) * factor), tf.int64))


class ExactFrequency(_Counters):
    """One counter per id, for dense ids such as the row of a product in the catalog.

    Args:
        size: ids are in [0, size); 8 bytes each.
    """

    def __init__(self, size: int, name: str = "exact_frequency"):
        super().__init__(size, name)

    def update(self, ids: tf.Tensor) -> None:
        """Counts a batch of ids, integer [n]; the cost depends on n alone. An id outside [0, size) is an error."""
        self._cells.scatter_add(tf.IndexedSlices(tf.fill(tf.shape(ids), tf.constant(_UNIT, tf.int64)), ids))
        self._total.assign_add(tf.size(ids, tf.int64) * _UNIT)

    def count(self, ids: tf.Tensor) -> tf.Tensor:
        """The (decayed) number of observations, float64 [n]."""
        return tf.cast(tf.gather(self._cells, ids), tf.float64) / _UNIT


class CountMinSketch(_Counters):
    """Approximate counts of any int64 ids in a table of fixed size (Cormode and Muthukrishnan, 2005).

    Row r adds to the cell h_r(id); the estimate is the minimum over the rows. It is never below the true count, and
    exceeds it by more than (e / width) · total with probability at most e^−depth. Conservative update raises only
    the cells that the new minimum needs, which about halves the error; such a table must see the ids of the whole
    batch, since tables of parts of it cannot be added.

    Args:
        width: cells per row.
        depth: rows.
        conservative: whether to use conservative update.
        seed: of the hash functions; they are kept in the checkpoint with the counts.
    """

    def __init__(
        self,
        width: int = 1 << 20,
        depth: int = 4,
        conservative: bool = True,
        seed: int = 0,
        name: str = "count_min_sketch",
    ):
        super().__init__(width * depth, name)
        self._width, self._depth, self._conservative = width, depth, conservative
        self._seeds = _row_seeds(depth, seed)

    def update(self, ids: tf.Tensor) -> None:
        """Counts a batch of ids, integer [n]; the cost depends on n and the depth alone."""
        self._total.assign_add(tf.size(ids, tf.int64) * _UNIT)
        if not self._conservative:
            cells = tf.reshape(self.cells_of(ids), [-1])
            self._cells.scatter_add(tf.IndexedSlices(tf.fill(tf.shape(cells), tf.constant(_UNIT, tf.int64)), cells))
            return
        ids, _, counts = tf.unique_with_counts(ids, tf.int64)
        cells = self.cells_of(ids)
        raised = tf.reduce_min(tf.gather(self._cells, cells), axis=0) + counts * _UNIT
        raised = tf.broadcast_to(raised, tf.shape(cells))
        self._cells.scatter_max(tf.IndexedSlices(tf.reshape(raised, [-1]), tf.reshape(cells, [-1])))

    def count(self, ids: tf.Tensor) -> tf.Tensor:
        """The estimated (decayed) number of observations, float64 [n]; never too low."""
        return tf.cast(tf.reduce_min(tf.gather(self._cells, self.cells_of(ids)), axis=0), tf.float64) / _UNIT

    def cells_of(self, ids: tf.Tensor) -> tf.Tensor:
        """The cell of each id in each row of the flat table, int64 [depth, n]."""
        return _hashed_cells(ids, self._seeds, self._width)


class GapEstimator(tf.Module):
    """Frequency from the gap between the batches that hold an id (Yi et al., RecSys 2019, algorithm 2).

    At step t, for each distinct id of the batch, in each row: E ← (1 − α) E + α (t − A), A ← t, where A is the step
    at which the cell was last seen and E its mean gap. Collisions only shorten gaps, so the estimate is 1 / max E.

    It needs no total and follows drift, but what it estimates is the rate of batches that hold the id, whatever the
    number of copies: use it with candidates of which each entity occurs once, or where duplicates are rare.
    With α = ½ and E₀ = 10, an id seen at steps 1, 3, 5 and 9 has E = 5.5, 3.75, 2.875 and 3.4375.

    Args:
        width: cells per row.
        depth: rows.
        rate: α.
        initial_gap: E₀, in batches.
        seed: of the hash functions; they are kept in the checkpoint.
    """

    def __init__(
        self,
        width: int = 1 << 20,
        depth: int = 2,
        rate: float = 0.01,
        initial_gap: float = 1000.0,
        seed: int = 0,
        name: str = "gap_estimator",
    ):
        super().__init__(name=name)
        self._width, self._rate = width, rate
        self._seeds = _row_seeds(depth, seed)
        self._gap = tf.Variable(tf.fill([width * depth], initial_gap), trainable=False, name="gap", dtype=tf.float32)
        self._seen = tf.Variable(tf.zeros([width * depth], tf.int64), trainable=False, name="seen")
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

    def update(self, ids: tf.Tensor) -> None:
        """Takes one batch of ids, integer [n], into account; copies of an id count once."""
        self._step.assign_add(1)
        # Ids that share a cell, copies included, all write the same value there.
        cells = tf.reshape(_hashed_cells(ids, self._seeds, self._width), [-1])
        elapsed = tf.cast(self._step - tf.gather(self._seen, cells), tf.float32)
        gap = (1.0 - self._rate) * tf.gather(self._gap, cells) + self._rate * elapsed
        self._gap.scatter_update(tf.IndexedSlices(gap, cells))
        self._seen.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(cells), self._step.read_value()), cells))

    def gap(self, ids: tf.Tensor) -> tf.Tensor:
        """The estimated mean number of batches from one that holds the id to the next, float32 [n]."""
        return tf.reduce_max(tf.gather(self._gap, _hashed_cells(ids, self._seeds, self._width)), axis=0)

    def log_q(self, ids: tf.Tensor) -> tf.Tensor:
        """Log of the estimated share of batches that hold the id, float32 [n]."""
        return -tf.math.log(self.gap(ids))


def build_frequency(config: FrequencyConfig, size: int) -> ExactFrequency | CountMinSketch:
    """The estimator that `loss.frequency` asks for, over dense ids below `size`."""
    if config.kind == "exact" or (config.kind == "auto" and size <= EXACT_LIMIT):
        return ExactFrequency(size)
    return CountMinSketch()


def _row_seeds(depth: int, seed: int) -> tf.Variable:
    seeds = splitmix64(splitmix64(tf.constant(seed % 2**64, tf.uint64)) + tf.cast(tf.range(depth), tf.uint64))
    return tf.Variable(tf.bitcast(seeds, tf.int64), trainable=False, name="seeds")


def _hashed_cells(ids: tf.Tensor, seeds: tf.Variable, width: int) -> tf.Tensor:
    """A cell per row and id in a table of `width` cells per row, laid out row after row: int64 [rows, n]."""
    keys = tf.bitcast(tf.cast(ids, tf.int64), tf.uint64)[None, :] + tf.bitcast(seeds, tf.uint64)[:, None]
    columns = tf.cast(splitmix64(keys) % tf.constant(width, tf.uint64), tf.int64)
    return columns + width * tf.range(tf.shape(seeds, tf.int64)[0])[:, None]
