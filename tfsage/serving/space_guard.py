"""Whether a model server still serves the space that a client was made for."""

import threading
import time
from collections.abc import Iterable

import numpy as np

from tfsage.bundle import Canaries

CANARY_TOLERANCE = 1e-4
"""How far a component of a canary's vector may be from the manifest's."""

CHECK_SECONDS = 1.0
"""How often a canary rides along with a call."""


class SpaceGuard:
    """Compares the vector of a canary now and then, and knows what was cached since that last went well.

    Args:
        canaries: of the bundle's manifest.
    """

    def __init__(self, canaries: Canaries):
        self.query = canaries.queries[-1]
        self._expected = np.array(canaries.vectors[-1], np.float32)
        self._lock = threading.Lock()
        self._checked_at = -np.inf
        self._unverified: set[str] = set()

    def begin(self) -> frozenset[str] | None:
        """None while a check is not due; else the keys that the check is about: embed `query` now, then `judge` it."""
        with self._lock:
            if time.monotonic() - self._checked_at < CHECK_SECONDS:
                return None
            self._checked_at = time.monotonic()
            return frozenset(self._unverified)

    def judge(self, vector: np.ndarray, keys: frozenset[str]) -> bool:
        """Whether the canary has its vector; if so, the `keys` of `begin` are good for ever."""
        same = vector.shape == self._expected.shape and np.abs(vector - self._expected).max() <= CANARY_TOLERANCE
        if same:
            with self._lock:
                self._unverified -= keys
        else:
            self.retry()
        return bool(same)

    def retry(self) -> None:
        """The next call checks, however soon it comes."""
        self._checked_at = -np.inf

    def cached(self, keys: Iterable[str]) -> None:
        """Vectors were computed and then cached under these keys."""
        with self._lock:
            self._unverified.update(keys)

    def take_unverified(self) -> list[str]:
        """The keys whose vectors may be of another space; they are the caller's to delete."""
        with self._lock:
            keys, self._unverified = sorted(self._unverified), set()
        return keys
