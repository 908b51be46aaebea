"""The count-min sketch."""

import tensorflow as tf

from tfsage.losses.frequency.cells import hashed_cells, mixer_seeds, read_cells
from tfsage.losses.frequency.counters import UNIT, Counters, Decay, Windows


class CountMinSketch(Counters):
    """Approximate counts of any ids, integers or strings, in a table of fixed size (Cormode and Muthukrishnan, 2005).

    Row r adds to the cell h_r(id); the estimate is the minimum over the rows. It is never below the true count, and
    exceeds it by more than (e / width) · total with probability at most e^−depth. What the loss feels is the error of
    the log: for counts of at least c to be off by a share of at most r, take width ≥ e · total / (r · c).

    Conservative update (Estan and Varghese, 2002) raises only the cells that the new minimum needs, which about halves
    the error; such a table must see the ids of the whole batch, since tables of parts of it cannot be added.

    Args:
        width: cells per row, 8 bytes each.
        depth: rows.
        conservative: whether to use conservative update.
        aging: how old observations are forgotten; None if never. Each window has a table of its own.
        seed: of the hash functions; they are kept in the checkpoint with the counts.

    >>> sketch = CountMinSketch(width=1000, depth=4)
    >>> sketch.update(tf.constant(["red shoes", "lamp", "lamp", "lamp"]))
    >>> sketch.count(tf.constant(["lamp", "red shoes"])).numpy().tolist()
    [3.0, 1.0]
    """

    def __init__(
        self,
        width: int = 1 << 20,
        depth: int = 4,
        conservative: bool = True,
        aging: Decay | Windows | None = None,
        seed: int = 0,
        name: str = "count_min_sketch",
    ):
        super().__init__(width * depth, aging, name)
        self._width, self._conservative = width, conservative
        self._seeds = mixer_seeds(depth, seed)

    def cells_of(self, ids: tf.Tensor) -> tf.Tensor:
        return hashed_cells(ids, self._seeds, self._width)

    def _add(self, ids: tf.Tensor, start: tf.Tensor) -> None:
        if not self._conservative:
            super()._add(ids, start)
            return
        ids, _, copies = tf.unique_with_counts(ids, tf.int64)
        cells = start + self.cells_of(ids)
        raised = tf.reduce_min(read_cells(self._cells, cells), axis=0) + copies * UNIT
        raised = tf.broadcast_to(raised, tf.shape(cells))
        self._cells.scatter_max(tf.IndexedSlices(tf.reshape(raised, [-1]), tf.reshape(cells, [-1])))
