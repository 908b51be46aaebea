"""What a long ranking has counted so far, on disk, so that the same ranking goes on where a killed one left off."""

import hashlib
import os
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfsage.evaluation.ranks import Counts

SAVE_SECONDS = 30.0

_ROWS = 65_536


class RankState:
    """Keeps counts and the place reached in one file.

    Args:
        path: of the file; None keeps nothing.
        inputs: the arrays that the ranking depends on. A file that other arrays led to is not gone on with. They are
            hashed only when there is a file, or one is to be written.
    """

    def __init__(self, path: Path | None, inputs: Iterable[np.ndarray]):
        self._path, self._inputs = path, inputs
        self._key: str | None = None
        self._saved = time.monotonic()

    def load(self, count: Counts) -> int:
        """Fills `count` with what was kept and returns the place from which to go on; 0 when there is nothing."""
        if self._path is None or not self._path.exists():
            return 0
        try:
            with np.load(self._path) as kept:
                if str(kept["key"]) != self.key or kept["greater"].shape != count.greater.shape:
                    return 0
                count.greater[:], count.least[:] = kept["greater"], kept["least"]
                return int(kept["place"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            # A damaged file costs the time that it would have saved, nothing else.
            return 0

    def save(self, count: Counts, place: int) -> None:
        """Keeps the counts of everything before `place`, unless that was done less than `SAVE_SECONDS` ago."""
        if self._path is not None and time.monotonic() - self._saved >= SAVE_SECONDS:
            self._write(count, place)

    def finish(self, count: Counts, place: int) -> None:
        """Keeps that all is done, if anything was worth keeping."""
        if self._path is not None and self._path.exists():
            self._write(count, place)

    def _write(self, count: Counts, place: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_name(f".{self._path.name}.partial")
        with aside.open("wb") as file:
            np.savez(file, key=np.array(self.key), place=place, greater=count.greater, least=count.least)
        os.replace(aside, self._path)
        self._saved = time.monotonic()

    @property
    def key(self) -> str:
        """A hash of every byte of the inputs, and of their shapes and types."""
        if self._key is None:
            digest = hashlib.blake2b(digest_size=16)
            for array in self._inputs:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                for start in range(0, len(array), _ROWS):
                    digest.update(np.ascontiguousarray(array[start : start + _ROWS]))
            self._key = digest.hexdigest()
        return self._key
