"""Folders that are whole or not there: written aside, then renamed."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfsage.errors import TfsageError
from tfsage.files import sync_tree

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def staged_folder(out: str | Path, marker: str) -> Iterator[Path]:
    """A folder beside `out` to write into; it becomes `out` when the block ends well, and vanishes when it does not.

    Args:
        out: the folder to make. One that is already there is replaced only if it is empty or holds `marker`, and
            stays as it is until the new one is complete.
        marker: a file that every finished folder of this kind holds.

    Raises:
        TfsageError: `out` is a file, holds something else, or cannot be written.
    """
    out = Path(out).absolute()
    if out.exists() and not out.is_dir():
        raise TfsageError(f"{out}: is a file; choose another output folder")
    if out.is_dir() and any(out.iterdir()) and not (out / marker).exists():
        raise TfsageError(f"{out}: not empty, and not written by this command (no {marker}); choose another folder")
    staged = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        staged.mkdir(parents=True)
        yield staged
        sync_tree(staged)
        _swap(staged, out)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise TfsageError(f"{out}: cannot be written: {error.strerror}; make room, or choose another folder") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _swap(staged: Path, out: Path) -> None:
    if not out.exists():
        os.replace(staged, out)
        return
    earlier = out.with_name(f".{out.name}.replaced-{os.getpid()}")
    os.replace(out, earlier)
    try:
        os.replace(staged, out)
    except OSError:
        os.replace(earlier, out)
        raise
    shutil.rmtree(earlier)
