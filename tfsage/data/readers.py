"""In which order training reads rows, and where the features of their candidates come from."""

from typing import NamedTuple, Protocol

import numpy as np

from tfsage.config import TaskConfig
from tfsage.data.features import Features
from tfsage.data.permutation import mix64, permute
from tfsage.data.sources import PairSource


class Stream(Protocol):
    """Rows in an endless sequence of epochs, each of which has every row once, in an order of its own."""

    def next(self, taken: int, count: int) -> "Rows":
        """The next `count` rows after `taken` rows, in the order they have in a batch; computed, nothing is read."""


class Rows(NamedTuple):
    """Some rows of a stream, int64 [n], and where they lie, int64 [n, k], which only the stream understands.

    `stream` is None where the rows are known, but no stream leads to what is wanted of them.
    """

    stream: Stream | None
    row: np.ndarray
    place: np.ndarray

    def at(self, slots: np.ndarray) -> "Rows":
        """The rows at some places of the batch."""
        return Rows(self.stream, self.row[slots], self.place[slots])


class Reader(Protocol):
    """Where the features of candidates come from. `pool` is `TaskConfig.pool`."""

    def pairs(self, task: TaskConfig, source: PairSource, seed: int) -> Stream:
        """The pairs of a task."""

    def catalog(self, pool: str, seed: int) -> Stream:
        """The whole catalog of a pool, for random negatives."""

    def features(
        self, pool: str, rows: list[Rows], candidates: np.ndarray, hide_images: np.ndarray, hide_text: np.ndarray
    ) -> dict[str, np.ndarray]:
        """What `Features` gives for `candidates`, int64 [n]: those of all `rows`, then any others."""


class Shuffle:
    """A stream of rows 0 … size − 1 that may be read in any order. `seed` chooses the orders."""

    def __init__(self, size: int, seed: int):
        self._size, self._seed = size, np.uint64(seed)

    def next(self, taken: int, count: int) -> Rows:
        epoch, within = np.divmod(taken + np.arange(count, dtype=np.int64), self._size)
        rows = permute(within, self._size, mix64(self._seed ^ epoch.astype(np.uint64)))
        return Rows(self, rows, rows[:, None])


class StoreReader:
    """Features gathered from the memory-mapped stores, by random access.

    Args:
        features: the gatherer of every pool.
    """

    def __init__(self, features: dict[str, Features]):
        self._features = features

    def pairs(self, task: TaskConfig, source: PairSource, seed: int) -> Stream:
        return Shuffle(source.size, seed)

    def catalog(self, pool: str, seed: int) -> Stream:
        return Shuffle(self._features[pool].count, seed)

    def features(
        self, pool: str, rows: list[Rows], candidates: np.ndarray, hide_images: np.ndarray, hide_text: np.ndarray
    ) -> dict[str, np.ndarray]:
        return self._features[pool](candidates, hide_images, hide_text)
