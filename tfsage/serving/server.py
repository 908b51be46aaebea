"""The embedded model server: TensorFlow Serving's gRPC and REST faces over the towers of a published bundle.

For laptops, tests and the demo. It has no authentication; production runs stock TensorFlow Serving on the very same
bundle and files, see serving_configs/.
"""

import contextlib
import ipaddress
import resource
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
from tfsage.serving.flags import FLAGS, Flags, base_paths, mounted
from tfsage.serving.grpc_service import add_services
from tfsage.serving.manager import ModelManager
from tfsage.serving.registry import Registry
from tfsage.serving.rest import LIMITS, Limits, rest_app
from tfsage.serving.status import ServingError
from tfsage.serving.tls import read_credentials

__all__ = ["ModelServer", "base_paths", "bind", "serve"]

GRACE_SECONDS = 10.0
_START_SECONDS = 10.0
_CONNECTION_SECONDS, _LONGEST_CALL_SECONDS = 600, 60


class ModelServer:
    """Both faces of a registry, while it is entered: `with ModelServer(registry, ...) as server`.

    Args:
        registry: the models; it is closed with the server.
        host: address to listen on.
        grpc_port: 0 takes a free one.
        rest_port: 0 takes a free one; None offers no REST.
        manager: lets clients ask for another config; closed with the server.
        credentials: TLS of the gRPC face; REST stays plain, as under TensorFlow Serving.
        limits: what clients may ask.
        threads: how many gRPC calls are worked on at once, waiting in a batch included.
        metrics_path: where REST shows the metrics; None for nowhere.

    Attributes:
        grpc_address: host:port of the gRPC face.
        rest_address: host:port of the REST face, or None.
    """

    def __init__(
        self,
        registry: Registry,
        host: str = "127.0.0.1",
        grpc_port: int = 0,
        rest_port: int | None = None,
        manager: ModelManager | None = None,
        credentials: grpc.ServerCredentials | None = None,
        limits: Limits = LIMITS,
        threads: int = 64,
        metrics_path: str | None = None,
    ):
        """Binds the ports.

        Raises:
            TfsageError: a port is in use or cannot be bound.
        """
        self._registry, self._manager = registry, manager
        self._app = rest_app(registry, limits, metrics_path)
        self._socket = None if rest_port is None else bind(host, rest_port)
        self._grpc = grpc.server(
            # A thread is held from a call's first byte on, also by a client that never sends the rest. So there may be
            # one for every call in flight, and only those that work are counted as `threads`.
            futures.ThreadPoolExecutor(limits.requests, thread_name_prefix="grpc"),
            maximum_concurrent_rpcs=limits.requests,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", limits.message_bytes),
                ("grpc.max_send_message_length", -1),
                # Connections are renewed from time to time, which also ends calls that never came to an end.
                ("grpc.max_connection_age_ms", _CONNECTION_SECONDS * 1000),
                ("grpc.max_connection_age_grace_ms", _LONGEST_CALL_SECONDS * 1000),
            ],
        )
        add_services(self._grpc, registry, manager, threads)
        address = _joined(host, grpc_port)
        try:
            if credentials is None:
                port = self._grpc.add_insecure_port(address)
            else:
                port = self._grpc.add_secure_port(address, credentials)
        except RuntimeError:
            self._close_socket()
            raise _not_bound(host, grpc_port, "in use or not allowed") from None
        self.grpc_address = _joined(host, port)
        self.rest_address = None if self._socket is None else _joined(host, self._socket.getsockname()[1])

    def __enter__(self) -> "ModelServer":
        self._grpc.start()
        if self._socket is not None:
            self._start_rest()
        return self

    def __exit__(self, *_) -> None:
        """Takes no new calls, lets those under way end (for `GRACE_SECONDS`), and frees the models."""
        if self._manager is not None:
            self._manager.close()
        stopped = self._grpc.stop(GRACE_SECONDS)
        if self._socket is not None:
            self._rest.should_exit = True
            self._rest_thread.join(GRACE_SECONDS + 1)
            self._close_socket()
        stopped.wait()
        self._registry.close()

    def _start_rest(self) -> None:
        config = uvicorn.Config(
            self._app,
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


def serve(
    root: str | Path | None,
    flags: Flags = FLAGS,
    host: str = "127.0.0.1",
    grpc_port: int = 8500,
    rest_port: int = 8501,
) -> None:
    """Serves until SIGTERM or Ctrl-C, then drains and returns.

    Args:
        root: the published bundle below it is served, or, with a model config, found at `/models/bundle`.
        flags: those of TensorFlow Serving.

    Raises:
        TfsageError: nothing is published, a file is damaged, a model does not load or fails its warm-up, or a port is
            in use.
        KeyboardInterrupt: after a clean stop, on Ctrl-C.
    """
    bundle = None if root is None else Bundle.current(root)
    config, metrics_path = flags.model_config(bundle), flags.metrics_path()
    credentials = None if flags.ssl_config_file is None else read_credentials(flags.ssl_config_file)
    if grpc_port == rest_port != 0:
        raise TfsageError(f"gRPC and REST need ports of their own, both are {grpc_port}; change one of them")
    for port in (grpc_port, rest_port):
        bind(host, port).close()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _allow_many_connections()
    with contextlib.ExitStack() as undo:
        registry = flags.registry()
        undo.callback(registry.close)
        manager = ModelManager(
            registry, flags.allow_version_labels_for_unavailable_models, lambda path: mounted(path, bundle)
        )
        try:
            manager.reload(config)
        except ServingError as error:
            raise TfsageError(f"Failed to start server. Error: {error.message}") from None
        limits = Limits(seconds=flags.rest_api_timeout_in_ms / 1000)
        threads = flags.grpc_max_threads
        server = ModelServer(registry, host, grpc_port, rest_port, manager, credentials, limits, threads, metrics_path)
        undo.pop_all()
    with server:
        manager.start(flags.file_system_poll_wait_seconds)
        if flags.model_config_file is not None:
            manager.start(flags.model_config_file_poll_wait_seconds, lambda: flags.model_config(bundle))
        _announce(server, bundle, host, registry)
        threading.Event().wait()


def _allow_many_connections() -> None:
    """Every connection is an open file, and the usual soft limit of 1,024 is soon reached by idle clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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


def _announce(server: ModelServer, bundle: Bundle | None, host: str, registry: Registry) -> None:
    names, of = registry.names, "" if bundle is None else f" of bundle {bundle.folder.name}"
    lines = [
        f"serving {', '.join(names) or 'no model'}{of} (a development server)",
        f"  gRPC  {server.grpc_address}",
        f"  REST  http://{server.rest_address}/v1/models/{names[-1] if names else ''}",
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
