"""Runs the retrieval service on a port."""

import signal
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn
from rich.text import Text

from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.retrieval.app import build_app
from tfsage.retrieval.loaded import Settings
from tfsage.retrieval.service import RetrievalService
from tfsage.serving.server import bind

GRACE_SECONDS = 10
_START_SECONDS = 10.0


class RetrievalServer:
    """A service behind HTTP, while it is entered: `with RetrievalServer(service) as server`.

    Args:
        service: closed by its owner.
        host: to listen on.
        port: 0 takes a free one.

    Attributes:
        url: of the service.

    Raises:
        TfsageError: the port is in use or cannot be bound.
    """

    def __init__(self, service: RetrievalService, host: str = "127.0.0.1", port: int = 0):
        self._socket = bind(host, port)
        self.url = _url(self._socket)
        self._uvicorn = uvicorn.Server(_config(service))

    def __enter__(self) -> "RetrievalServer":
        self._thread = threading.Thread(target=self._uvicorn.run, args=([self._socket],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._uvicorn.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise TfsageError(f"the service on {self.url} did not start")
            time.sleep(0.01)
        return self

    def __exit__(self, *_) -> None:
        """Takes no new requests and lets those under way end."""
        self._uvicorn.should_exit = True
        self._thread.join(GRACE_SECONDS + 1)
        self._socket.close()


def run_service(
    root: Path, settings: Settings, compare: Path | None = None, host: str = "127.0.0.1", port: int = 8080
) -> None:
    """Answers on `host` and `port` until SIGTERM or Ctrl-C, then lets requests end and returns.

    Raises:
        TfsageError: as `RetrievalService`, or the port is in use.
        KeyboardInterrupt: after a clean stop, on Ctrl-C.
    """
    with bind(host, port) as listening, RetrievalService(root, settings, compare) as service:
        # uvicorn drains on a signal and then raises it again, for the handler that it found.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with service.borrow() as loaded:
            text = f"bundle {loaded.name}, {len(loaded.catalog):,} products\n  open  {_url(listening)}"
        # Whoever reads the next line may connect at once; uvicorn answers a moment later.
        listening.listen()
        console.print(Text(text), soft_wrap=True)
        uvicorn.Server(_config(service)).run(sockets=[listening])


def _config(service: RetrievalService) -> uvicorn.Config:
    return uvicorn.Config(
        build_app(service),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
