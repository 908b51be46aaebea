"""The embedded model server: TensorFlow Serving's gRPC and REST faces over the towers of a published bundle.

For laptops, tests and the demo. It has no authentication and no batching; production runs stock TensorFlow Serving
on the very same bundle, see serving_configs/.
"""

import ipaddress
import signal
import socket
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import uvicorn
from rich.text import Text

from tfsage.bundle import Bundle
from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.serving.grpc_service import add_services
from tfsage.serving.registry import Registry, load_registry
from tfsage.serving.rest import rest_app

MAX_MESSAGE_BYTES = 64 << 20
GRACE_SECONDS = 10.0
_THREADS = 16
_START_SECONDS = 10.0


class ModelServer:
    """Both faces of a registry, while it is entered: `with ModelServer(registry, ...) as server`.

    Attributes:
        grpc_address: host:port of the gRPC face.
        rest_address: host:port of the REST face, or None.
    """

    def __init__(self, registry: Registry, host: str = "127.0.0.1", grpc_port: int = 0, rest_port: int | None = None):
        """Binds the ports; port 0 takes a free one, `rest_port` None offers no REST.

        Raises:
            TfsageError: a port is in use or cannot be bound.
        """
        self._registry = registry
        self._socket = None if rest_port is None else bind(host, rest_port)
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="predict"),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", -1),
            ],
        )
        add_services(self._grpc, registry)
        try:
            self.grpc_address = _joined(host, self._grpc.add_insecure_port(_joined(host, grpc_port)))
        except RuntimeError:
            self._close_socket()
            raise _not_bound(host, grpc_port, "in use or not allowed") from None
        self.rest_address = None if self._socket is None else _joined(host, self._socket.getsockname()[1])

    def __enter__(self) -> "ModelServer":
        self._grpc.start()
        if self._socket is not None:
            self._start_rest()
        return self

    def __exit__(self, *_) -> None:
        """Takes no new calls, lets those under way end (for `GRACE_SECONDS`), and frees the models."""
        stopped = self._grpc.stop(GRACE_SECONDS)
        if self._socket is not None:
            self._rest.should_exit = True
            self._rest_thread.join(GRACE_SECONDS + 1)
            self._close_socket()
        stopped.wait()
        self._registry.close()

    def _start_rest(self) -> None:
        config = uvicorn.Config(
            rest_app(self._registry, MAX_MESSAGE_BYTES),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=int(GRACE_SECONDS),
        )
        self._rest = uvicorn.Server(config)
        self._rest_thread = threading.Thread(target=self._rest.run, args=([self._socket],), daemon=True)
        self._rest_thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._rest.started:
            if not self._rest_thread.is_alive() or time.monotonic() > deadline:
                raise TfsageError(f"the REST server on {self.rest_address} did not start")
            time.sleep(0.01)

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()


def serve(root: str | Path, grpc_port: int = 8500, rest_port: int = 8501, host: str = "127.0.0.1") -> None:
    """Serves the published bundle below `root` until SIGTERM or Ctrl-C, then drains and returns.

    Raises:
        TfsageError: nothing is published, a tower does not load or fails its warm-up, or a port is in use.
        KeyboardInterrupt: after a clean stop, on Ctrl-C.
    """
    bundle = Bundle.current(root)
    if grpc_port == rest_port != 0:
        raise TfsageError(f"gRPC and REST need ports of their own, both are {grpc_port}; change one of them")
    for port in (grpc_port, rest_port):
        bind(host, port).close()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    registry = load_registry(base_paths(bundle))
    with ModelServer(registry, host, grpc_port, rest_port) as server:
        _announce(server, bundle, host, registry)
        threading.Event().wait()


def base_paths(bundle: Bundle) -> dict[str, Path]:
    """The folders of a bundle's towers, which hold their version folders, by model name."""
    towers = {"query_tower": bundle.query_tower, "product_tower": bundle.product_tower}
    return {name: folder.parent for name, folder in towers.items() if folder is not None}


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to `host` and `port` (0: a free one), not yet listening.

    Raises:
        TfsageError: the port is in use or not allowed, or there is no such address on this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _not_bound(host, port, error.strerror) from None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _not_bound(host, port, error.strerror) from None
    return bound


def _announce(server: ModelServer, bundle: Bundle, host: str, registry: Registry) -> None:
    lines = [
        f"serving {', '.join(registry.names)} of bundle {bundle.folder.name} (a development server)",
        f"  gRPC  {server.grpc_address}",
        f"  REST  http://{server.rest_address}/v1/models/{registry.names[-1]}",
        "stop with Ctrl-C",
    ]
    if not _is_loopback(host):
        lines.insert(1, f"  {host} is reachable from other machines, and anyone who reaches it may ask")
    console.print(Text("\n".join(lines)), soft_wrap=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _not_bound(host: str, port: int, why: str) -> TfsageError:
    return TfsageError(
        f"cannot listen on {_joined(host, port)}: {why}; stop what uses it, or choose another with --grpc-port, "
        f"--rest-port or --host"
    )
