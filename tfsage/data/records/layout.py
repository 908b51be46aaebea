"""Where every row of a stream lies in its TFRecord shards, and in which order an epoch visits them: arithmetic alone.

The rows lie in one fixed random order. A shard is a stretch of it; lane l of a shard is every `lanes`-th row from its
l-th on, and the rows of a lane stand together, as a block: what is read from disk at once. The rows of a batch come
from all lanes alike, and are sorted by lane, so that a worker that fills a stretch of the batch reads a few lanes.
"""

from typing import NamedTuple

import numpy as np

from tfsage.data.permutation import mix64, permute, unpermute

_ORDER = 0x5EED
"""Seed of the fixed order. It is no option: two layouts of the same rows are then the same."""


class Place(NamedTuple):
    """Where some rows lie, int64 [n] each: the `record`-th row of block `lane` of `shard`."""

    shard: np.ndarray
    lane: np.ndarray
    record: np.ndarray


class Layout(NamedTuple):
    """How the rows of a stream are spread over shards.

    Attributes:
        rows: rows of the stream, at least 1.
        lanes: blocks of a shard.
        block_rows: rows of each block, but for the last shard, which holds what is left.
    """

    rows: int
    lanes: int
    block_rows: int

    @classmethod
    def of(cls, rows: int, lanes: int, block_rows: int) -> "Layout":
        """Shards of equal size (nearly), whose blocks hold about `block_rows` rows."""
        shards = -(-rows // (lanes * max(1, block_rows)))
        return cls(rows, lanes, -(-rows // (shards * lanes)))

    @property
    def shard_rows(self) -> int:
        """Rows of every shard but the last."""
        return self.lanes * self.block_rows

    @property
    def shards(self) -> int:
        return -(-self.rows // self.shard_rows)

    def rows_of_last(self, lane: np.ndarray) -> np.ndarray:
        """Rows that a lane has in the last shard, int64 [n]; the first lanes may have one more than the others."""
        left = self.rows - (self.shards - 1) * self.shard_rows
        return (left - lane + self.lanes - 1) // self.lanes

    def place(self, row: np.ndarray) -> Place:
        """Where rows lie, int64 [n]."""
        shard, within = np.divmod(unpermute(row, self.rows, _ORDER), self.shard_rows)
        return Place(shard, within % self.lanes, within // self.lanes)

    def row(self, place: Place) -> np.ndarray:
        """The rows that lie at some places, int64 [n]: the inverse of `place`."""
        within = place.record * self.lanes + place.lane
        return permute(place.shard * self.shard_rows + within, self.rows, _ORDER)


class Visits:
    """The endless sequence of epochs that training reads: every epoch visits each row once, in an order of its own.

    Every lane visits its blocks in a random order, and the rows of a block in a random order; both differ from epoch
    to epoch and from lane to lane. What stands at a position is computed from the position alone.

    Args:
        layout: where the rows lie.
        seed: chooses the orders.
    """

    def __init__(self, layout: Layout, seed: int):
        self._layout, self._seed = layout, np.uint64(seed)

    def positions(self, taken: int, count: int) -> np.ndarray:
        """The positions of the next `count` rows after `taken` rows, int64 [count], those of a lane side by side."""
        position = taken + np.arange(count, dtype=np.int64)
        return position[np.argsort(position % self._layout.rows % self._layout.lanes, kind="stable")]

    def place(self, position: np.ndarray) -> Place:
        """Where the rows at some positions lie."""
        layout, last = self._layout, self._layout.shards - 1
        epoch, within = np.divmod(position, layout.rows)
        # `turn` counts the rows that the lane has visited in this epoch.
        turn, lane = np.divmod(within, layout.lanes)
        key = mix64(mix64(self._seed ^ epoch.astype(np.uint64)) ^ lane.astype(np.uint64))
        # The last shard is shorter than the others: it has a time of its own in between.
        start = (mix64(key) % np.uint64(layout.shards)).astype(np.int64) * layout.block_rows
        length = layout.rows_of_last(lane)
        in_last = (turn >= start) & (turn < start + length)
        turn = np.where(turn < start, turn, turn - length)
        visit, record = np.divmod(np.where(in_last, 0, turn), layout.block_rows)
        shard = np.where(in_last, last, permute(visit, max(last, 1), key))
        record = np.where(in_last, within // layout.lanes - start, record)
        block_rows = np.where(in_last, length, layout.block_rows)
        return Place(shard, lane, permute(record, block_rows, mix64(key ^ mix64(shard))))
