"""A real Redis for the tests, where one is installed."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

MISSING = "redis-server is not installed: what a real Redis does to the query cache is left out"


def installed() -> bool:
    if shutil.which("redis-server") is None:
        print(f"\n{MISSING}")
        return False
    return True


@contextmanager
def redis_server() -> Iterator[tuple[str, subprocess.Popen]]:
    """The URL of a Redis that keeps nothing on the disk, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0", process
        finally:
            process.kill()
            process.wait(10)
