"""A run folder that several processes see: waiting for a file of another, and training into it alone."""

import fcntl
import time
from pathlib import Path
from typing import IO

from tfsage.errors import TfsageError

_SECONDS_TO_SEE = 60.0
"""A network file system may show a new file to other machines only after a while."""
_SECONDS_TO_END = 10.0
"""How long the processes of a run that was just killed may take to end."""
_TICK = 0.5


def wait_for(file: Path) -> None:
    """Waits until a file that the chief has written is to be seen here.

    Raises:
        TfsageError: it is not, for a minute.
    """
    deadline = time.monotonic() + _SECONDS_TO_SEE
    while not file.exists():
        if time.monotonic() > deadline:
            raise TfsageError(
                f"{file}: this worker does not see what the chief has written there; "
                "put --run on a file system that all workers share"
            )
        time.sleep(_TICK)


def claim(folder: Path) -> IO:
    """Makes sure that no other process trains into a folder while the file that is given back is open.

    Raises:
        TfsageError: another process does.
    """
    file = (folder / ".training").open("w")
    deadline = time.monotonic() + _SECONDS_TO_END
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise TfsageError(
                    f"{folder}: another process trains into this folder; stop it, or choose another --run folder"
                ) from None
            time.sleep(_TICK)
        except OSError:  # The file system knows no locks.
            return file
        else:
            return file
