"""Where vectors of queries are kept, so that the model need not compute them again."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

DEFAULT_TTL = 24 * 3600.0
"""Seconds. A vector never grows old within its space; the limit clears away spaces that nobody serves any more."""


class VectorCache(Protocol):
    """Vectors by key. A cache may forget and may fail, but what it gives is what was put in; it raises nothing."""

    def get_many(self, keys: Sequence[str]) -> list[np.ndarray | None]:
        """For each key its vector, float32 [dimension], or None."""

    def set_many(self, vectors: dict[str, np.ndarray]) -> None:
        """Keeps vectors by key."""

    def delete_many(self, keys: Sequence[str]) -> None:
        """Forgets keys."""


def cache_key(space_id: str, text: str) -> str:
    """The key of a normalised query in one space; another space never has a key in common with it."""
    return f"tfsage:query:{space_id}:{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


class MemoryCache:
    """A cache in this process: the least recently used goes first, and nothing is kept longer than `ttl`.

    Safe to use from many threads.

    Args:
        capacity: most vectors kept; one of 256 dimensions takes about 1.3 kB.
        ttl: seconds.
        clock: gives the time in seconds.
    """

    def __init__(self, capacity: int = 100_000, ttl: float = DEFAULT_TTL, clock: Callable[[], float] = time.monotonic):
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._capacity, self._ttl, self._clock = capacity, ttl, clock
        self._kept: OrderedDict[str, tuple[float, np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get_many(self, keys: Sequence[str]) -> list[np.ndarray | None]:
        now = self._clock()
        with self._lock:
            return [self._get(key, now) for key in keys]

    def set_many(self, vectors: dict[str, np.ndarray]) -> None:
        until = self._clock() + self._ttl
        with self._lock:
            for key, vector in vectors.items():
                # A copy: the vector is mostly a row of a batch, which it would keep alive.
                self._kept[key] = until, np.array(vector, np.float32)
                self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)

    def delete_many(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._kept.pop(key, None)

    def _get(self, key: str, now: float) -> np.ndarray | None:
        until, vector = self._kept.get(key, (now, None))
        if until <= now:
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return vector
