"""Folders that are whole or not there: written aside, then renamed."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tfsage.console import console
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
        swap_in(staged, out)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise TfsageError(f"{out}: cannot be written: {error.strerror}; make room, or choose another folder") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def make_once(folder: Path, marker: str, make: Callable[[], None]) -> None:
    """Calls `make`, which makes `folder` by `staged_folder`, if nobody has; one process does it while others wait.

    What a killed process had begun is cleared away. The folder above is made when it is missing.

    Raises:
        OSError: the folder above cannot be written.
    """
    if (folder / marker).exists():
        return
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"Waiting for another process that writes into {folder.parent}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.parent.glob(".*.partial-*"):
            shutil.rmtree(leftover)
        if not (folder / marker).exists():
            make()


def swap_in(staged: Path, out: Path) -> None:
    """Renames a complete folder to `out`; one that is there stays until then, and is put back when that fails."""
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
