"""Products that were taken out of the catalog after the bundle was published, and must not be answered any more."""

import os
from pathlib import Path

import numpy as np
from rich.text import Text

from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.retrieval.catalog import Catalog


class Withdrawn:
    """A text file of product ids, one a line, that is read again whenever it has changed.

    Ids that the bundle does not know do no harm. A file that cannot be read any more changes nothing: no product comes
    back because of it. Write a new file aside and rename it, so that no half of it is ever read.

    Args:
        path: of the file.
        catalog: of the bundle.

    Raises:
        TfsageError: the file cannot be read, or is not UTF-8.
    """

    def __init__(self, path: Path, catalog: Catalog):
        self._path, self._catalog, self._problem = path, catalog, None
        self._seen, self._left = self._read()

    def left(self) -> np.ndarray:
        """Which products may still be answered, bool [products]."""
        try:
            if self._seen != _state(self._path):
                self._seen, self._left = self._read()
            self._problem = None
        except (OSError, TfsageError) as error:
            if self._problem is None:
                console.print(Text(f"withdrawn products stay as they are: {error}"), soft_wrap=True)
            self._problem = error
        return self._left

    def _read(self) -> tuple[tuple, np.ndarray]:
        try:
            state = _state(self._path)
            names = self._path.read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise TfsageError(f"{self._path}: cannot be read as product ids, one a line, in UTF-8 ({error})") from None
        rows = [self._catalog.find(name.strip()) for name in names if name.strip()]
        left = np.ones(len(self._catalog), bool)
        left[[row for row in rows if row is not None]] = False
        return state, left


def _state(path: Path) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
