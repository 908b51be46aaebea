"""Folders that are whole or not there: written aside, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfsage.errors import TfsageError


@contextmanager
def staged_folder(out: str | Path, marker: str) -> Iterator[Path]:
    """A folder beside `out` to write into; it becomes `out` when the block ends well, and vanishes when it does not.

    Args:
        out: the folder to make. One that is already there is replaced only if it is empty or holds `marker`, and
            stays as it is until the new one is complete.
        marker: a file that every finished folder of this kind holds.

    Raises:
        TfsageError: `out` is a file, or holds something else.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise TfsageError(f"{out}: is a file; choose another output folder")
    if out.is_dir() and any(out.iterdir()) and not (out / marker).exists():
        raise TfsageError(f"{out}: not empty, and not written by this command (no {marker}); choose another folder")
    staged, replaced = (out.with_name(f".{out.name}.{what}-{os.getpid()}") for what in ("partial", "replaced"))
    staged.mkdir(parents=True)
    try:
        yield staged
        if out.exists():
            os.replace(out, replaced)
        os.replace(staged, out)
    except OSError as error:
        raise TfsageError(
            f"{out}: cannot write: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
