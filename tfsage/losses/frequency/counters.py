"""Tables of counters, and how they forget."""

from typing import NamedTuple

import tensorflow as tf

from tfsage.losses.frequency.cells import integer_ids, read_cells

# Counters are integers that count in units of 2^-16: sums are exact and independent of the order (float32 counters
# stop at 2^24), yet decay can take an id that was seen once to half an observation rather than to none.
UNIT = 1 << 16


class Decay(NamedTuple):
    """After every `every` updates all counts and their total are multiplied by `factor`; log Q stays as it is."""

    factor: float
    every: int


class Windows(NamedTuple):
    """Only the last `count` stretches of `every` updates are counted, the one that is under way included."""

    count: int
    every: int


class Counters(tf.Module):
    """Counts of ids and their total; a subclass says which cells belong to an id (`cells_of`).

    A batch adds the number of copies of an id to one cell in each row of the table, and the count of the id is the
    least of its cells, so that ids which share some of them do little harm. With `Windows` there is a table per
    stretch, and the count is the sum of the least cells of each: never more than the least of the sums.

    Args:
        size: cells of a table.
        aging: how old observations are forgotten; None if never. It happens at the start of the update after every
            `every`, by the number of updates so far, which is one of the variables: the ids of the latest batch always
            count in full. Only then is there a pass over a table; `update` and `log_q` follow the batch.
    """

    inclusion = False
    """`log_q` is of the probability that one slot of a batch holds the id, not that any of its slots does."""

    def __init__(self, size: int, aging: Decay | Windows | None, name: str):
        super().__init__(name=name)
        self._size, self._aging = size, aging
        self._tables = aging.count if isinstance(aging, Windows) else 1
        # Aggregation NONE is what lets a replica change its own copy, inside tf.cond too, without communication.
        self._cells = tf.Variable(tf.zeros([self._tables * size], tf.int64), trainable=False, name="cells")
        self._totals = tf.Variable(tf.zeros([self._tables], tf.int64), trainable=False, name="totals")
        self._updates = tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")

    def update(self, ids: tf.Tensor) -> None:
        """Counts a batch of ids, [n], those of all replicas; the cost follows n."""
        ids = self._checked(ids)
        self._forget_if_due()
        table = self._filling()
        self._add(ids, table * self._size)
        self._totals.scatter_add(tf.IndexedSlices(tf.size(ids, tf.int64)[None] * UNIT, table[None]))
        self._updates.assign_add(1)

    def count(self, ids: tf.Tensor) -> tf.Tensor:
        """The number of observations that are not forgotten (decayed ones in part), float64 [n]."""
        tables = self._size * tf.range(self._tables, dtype=tf.int64)[:, None, None]
        counts = read_cells(self._cells, tables + self.cells_of(self._checked(ids)))
        return tf.cast(tf.reduce_sum(tf.reduce_min(counts, axis=1), axis=0), tf.float64) / UNIT

    @property
    def total(self) -> tf.Tensor:
        """The number of ids counted and not forgotten, a float64 scalar."""
        return tf.cast(tf.reduce_sum(self._totals), tf.float64) / UNIT

    def log_q(self, ids: tf.Tensor) -> tf.Tensor:
        """log(count / total), the log of the probability that one slot of a batch holds the id.

        There is no floor: a rare id keeps its own log Q. An id that was never counted gets that of one observation.

        Args:
            ids: [n].

        Returns:
            float32 [n].
        """
        count, total = self.count(ids), self.total
        unseen = -tf.math.log(tf.maximum(total, 1.0))
        return tf.cast(tf.where(count > 0.0, tf.math.log(count / total), unseen), tf.float32)

    def cells_of(self, ids: tf.Tensor) -> tf.Tensor:
        """The cell of each id in each row of a table, int64 [rows, n]."""
        raise NotImplementedError

    def _checked(self, ids: tf.Tensor) -> tf.Tensor:
        return integer_ids(ids)

    def _add(self, ids: tf.Tensor, start: tf.Tensor) -> None:
        """Adds int64 ids to the table whose first cell is `start`."""
        cells = tf.reshape(start + self.cells_of(ids), [-1])
        self._cells.scatter_add(tf.IndexedSlices(tf.fill(tf.shape(cells), tf.constant(UNIT, tf.int64)), cells))

    def _filling(self) -> tf.Tensor:
        """The table that counts the stretch of updates under way, an int64 scalar."""
        if not isinstance(self._aging, Windows):
            return tf.constant(0, tf.int64)
        return self._updates // self._aging.every % self._tables

    def _forget_if_due(self) -> None:
        if self._aging is None:
            return
        due = self._updates % self._aging.every == 0
        tf.cond(due, self._shrink if isinstance(self._aging, Decay) else self._drop_oldest, lambda: None)

    def _shrink(self) -> None:
        for counters in (self._cells, self._totals):
            counters.assign(tf.cast(tf.round(tf.cast(counters, tf.float64) * self._aging.factor), tf.int64))

    def _drop_oldest(self) -> None:
        table = self._filling()
        cells = table * self._size + tf.range(self._size, dtype=tf.int64)
        self._cells.scatter_update(tf.IndexedSlices(tf.zeros([self._size], tf.int64), cells))
        self._totals.scatter_update(tf.IndexedSlices(tf.zeros([1], tf.int64), table[None]))
