"""What tells the content of one folder from that of another, without reading all of it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_WINDOWS, _WINDOW = 64, 4096


def fingerprint(folder: Path, names: Iterable[str]) -> str:
    """Hexadecimal digits that change with the content of some files of a folder.

    Of every file the size and 64 stretches of 4 KiB are looked at, its first and its last among them: enough to tell
    one catalog from another, in a time that does not grow with them.
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        size = (folder / name).stat().st_size
        digest.update(f"{name}\0{size}\0".encode())
        with (folder / name).open("rb") as file:
            for start in np.unique(np.linspace(0, max(size - _WINDOW, 0), _WINDOWS).astype(np.int64)).tolist():
                file.seek(start)
                digest.update(file.read(_WINDOW))
    return digest.hexdigest()[:16]
