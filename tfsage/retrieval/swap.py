"""The bundle that answers now, and how another takes its place without a failed request."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.text import Text

from tfsage.bundle import CURRENT, Bundle
from tfsage.console import console
from tfsage.retrieval.loaded import Loaded


class Slot:
    """Holds one loaded bundle; requests borrow it, and it is closed when it was replaced and the last has ended."""

    def __init__(self, loaded: Loaded):
        self._loaded, self._users = loaded, {id(loaded): 0}
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self) -> Iterator[Loaded]:
        """The bundle that answers now; it stays open for the length of the block."""
        with self._lock:
            loaded = self._loaded
            self._users[id(loaded)] += 1
        try:
            yield loaded
        finally:
            with self._lock:
                self._users[id(loaded)] -= 1
                unused = loaded is not self._loaded and self._users[id(loaded)] == 0
                if unused:
                    del self._users[id(loaded)]
            if unused:
                loaded.close()

    def replace(self, loaded: Loaded) -> None:
        """Lets `loaded` answer from the next request on."""
        with self._lock:
            earlier, self._loaded = self._loaded, loaded
            self._users[id(loaded)] = 0
            unused = self._users[id(earlier)] == 0
            if unused:
                del self._users[id(earlier)]
        if unused:
            earlier.close()

    def close(self) -> None:
        self._loaded.close()


class Follower:
    """Follows CURRENT of a folder of bundles: a new one is loaded beside the old, then takes its place.

    A bundle that cannot be loaded, because no model server serves its space or because it is damaged, is refused: the
    old one goes on answering, `refusal` says why, and it is tried again.

    Args:
        root: the folder of bundles.
        slot: what to replace.
        load: loads a bundle.
        period: seconds between looks.

    Attributes:
        swaps: how often a bundle took another's place.
        refusals: how often one was refused.
        refusal: why the published bundle does not answer, or None when it does.
    """

    RETRY = 5.0

    def __init__(self, root: Path, slot: Slot, load: Callable[[Bundle], Loaded], period: float = 1.0):
        self.swaps, self.refusals, self.refusal = 0, 0, None
        self._root, self._slot, self._load, self._period = root, slot, load, period
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.wait(self.RETRY if self.refusal else self._period):
            with self._slot.borrow() as loaded:
                folder = loaded.bundle.folder
            try:
                published = (self._root / CURRENT).resolve()
                if published == folder:
                    self.refusal = None
                    continue
                self._slot.replace(self._load(Bundle.current(self._root)))
                self.swaps, self.refusal = self.swaps + 1, None
                console.print(Text(f"bundle {published.name} answers now"), soft_wrap=True)
            except Exception as error:
                # Whatever is wrong with a new bundle, the old one goes on, and this thread with it.
                if str(error) != self.refusal:
                    console.print(Text(f"the published bundle is refused: {error}"), soft_wrap=True)
                self.refusals, self.refusal = self.refusals + 1, str(error)
