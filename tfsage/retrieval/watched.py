"""Files that may be replaced while the service runs."""

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from rich.text import Text

from tfsage.console import console
from tfsage.errors import TfsageError

Said = TypeVar("Said")


class Watched(Generic[Said]):
    """What files say, read again by the first request after one of them has changed.

    Files that cannot be read any more change nothing: what they said before holds, why is said once, and they are tried
    again from time to time. Write a new file aside and rename it, so that no half of it is ever read.

    Args:
        files: whose change counts.
        read: reads them.
        what: names what they say.
        patient: whether other requests wait while one reads; else they go on with what was said before.
        lenient: whether files that cannot be read at first say nothing (None) until they can; else that is an error.

    Raises:
        TfsageError: of `read`, when not lenient.
    """

    RETRY = 10.0
    """Seconds after which files that could not be read, and have not changed, are tried again."""

    def __init__(
        self,
        files: Sequence[Path],
        read: Callable[[], Said | None],
        what: str,
        *,
        patient: bool,
        lenient: bool = False,
    ):
        self._files, self._read, self._what, self._patient = files, read, what, patient
        self._lock, self._problem, self._said = threading.Lock(), None, None
        self._retry_at = math.inf
        self._seen = self._states()
        try:
            self._said = read()
        except TfsageError as error:
            if not lenient:
                raise
            self._complain(f"without {what}: {error}")

    def value(self) -> Said | None:
        """What the files say."""
        if self._is_due(self._states()) and self._lock.acquire(blocking=self._patient):
            try:
                self._read_again()
            finally:
                self._lock.release()
        return self._said

    def _read_again(self) -> None:
        # Before reading: a file that is replaced meanwhile is read once more.
        states = self._states()
        if not self._is_due(states):
            return
        try:
            self._said = self._read()
            self._problem, self._retry_at = None, math.inf
        except Exception as error:
            # Whatever is wrong with a file, the request that came upon it is answered.
            self._complain(f"{self._what} stay as they are: {error}")
        self._seen = states

    def _is_due(self, states: list[tuple[int, ...] | None]) -> bool:
        return states != self._seen or time.monotonic() >= self._retry_at

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            console.print(Text(problem), soft_wrap=True)
        self._problem, self._retry_at = problem, time.monotonic() + self.RETRY

    def _states(self) -> list[tuple[int, ...] | None]:
        return [_state(path) for path in self._files]


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    # The time of the last change of the inode tells of permissions, too.
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
