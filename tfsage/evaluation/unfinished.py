"""The folder of an evaluation under way: what is in it outlives a kill, and is gone on with or thrown away whole."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfsage.data.fingerprint import fingerprint
from tfsage.data.staging import swap_in
from tfsage.errors import TfsageError
from tfsage.files import list_files, sync_tree, write_text

KEY = "inputs.txt"


@contextmanager
def unfinished_folder(out: Path, key: str, marker: str) -> Iterator[Path]:
    """A folder beside `out` to write into; it becomes `out` when the block ends well, and stays when it does not.

    Args:
        out: the folder to make; one that is there is replaced.
        key: of everything that the content depends on.
        marker: a file that says that what was written before it is whole. What an earlier attempt with the same key
            left is found in the folder again if the marker is there, and removed otherwise.

    Raises:
        TfsageError: another process writes into the folder.
    """
    folder = out.with_name(f".{out.name}.unfinished")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        kept = (folder / KEY).exists() and (folder / marker).exists()
        if not kept or (folder / KEY).read_text(encoding="utf-8") != key:
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            write_text(folder / KEY, key)
        yield folder
        (folder / KEY).unlink()
        sync_tree(folder)
        swap_in(folder, out)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise TfsageError(f"{folder}: another process evaluates into this folder; wait until it has ended") from None
    except OSError:  # The file system knows no locks.
        pass
    try:
        yield
    finally:
        os.close(handle)


def evaluation_key(config: str, run: Path, data: Path, split: str) -> str:
    """What the vectors and the pairs of an evaluation depend on, hashed.

    Args:
        config: of the run, as text.
        run: its folder, with checkpoints/.
        data: the prepared folder.
        split: dev or test.
    """
    weights = fingerprint(run / "checkpoints", list_files(run / "checkpoints"))
    tables = fingerprint(data, [path.name for path in data.iterdir() if path.is_file()])
    return hashlib.sha256("\0".join([config, weights, tables, split]).encode()).hexdigest()
