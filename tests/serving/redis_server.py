"""A real Redis for the tests, where one is installed."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

MISSING = "redis-server is not installed: what a real Redis does to the query cache is left out"
_ATTEMPTS = 10


def installed() -> bool:
    if shutil.which("redis-server") is None:
        print(f"\n{MISSING}")
        return False
    return True


@contextmanager
def redis_server() -> Iterator[tuple[str, subprocess.Popen]]:
    """The URL of a Redis that keeps nothing on the disk, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        port, process = _started(folder)
        try:
            yield f"redis://127.0.0.1:{port}/0", process
        finally:
            process.kill()
            process.wait(10)
            process.stdout.close()


def _started(folder: str) -> tuple[int, subprocess.Popen]:
    """A Redis takes no port of its own choice, and somebody else may take a free one before it does: it tries again."""
    for _ in range(_ATTEMPTS):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(["redis-server", *words], stdout=subprocess.PIPE, text=True)
        if any("Ready to accept connections" in line for line in process.stdout):
            return port, process
        process.wait(10)
        process.stdout.close()
    raise RuntimeError(f"redis-server did not start in {_ATTEMPTS} attempts")
