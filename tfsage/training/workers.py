"""Several workers on this machine, started and looked after by one command."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tfsage.console import console
from tfsage.errors import TfsageError, WorkerLost
from tfsage.training.cluster import environment_of

_POLL = 0.1
_SECONDS_TO_END = 5.0
_RESUME = "the same command goes on from the last checkpoint"
_PORTS = range(15000, 32000)
"""Below those that systems give to outgoing connections, one of which might take a port before its worker does."""


def run_workers(count: int, words: Sequence[str | os.PathLike]) -> None:
    """Runs `python words...` as `count` workers that know of each other, until all are done.

    The chief's output is shown as it comes, the others' only if they fail. When one worker ends with an error or is
    killed, or on Ctrl-C, all are stopped; when this process is killed, they notice and end, too.

    Raises:
        WorkerLost: a worker was killed or stopped; the message names its rank.
        TfsageError: a worker failed; its last words are in the message.
        SystemExit: the chief failed, and has said why.
    """
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    with tempfile.TemporaryDirectory(prefix="tfsage-workers-") as scratch:
        logs = [Path(scratch) / f"worker-{rank}.log" for rank in range(count)]
        workers: list[subprocess.Popen] = []
        try:
            for rank, log in enumerate(logs):
                environment = {"TMPDIR": scratch, **environment_of(rank, addresses, os.getpid())}
                workers.append(_start(words, environment, log if rank else None))
            _supervise(workers, logs)
        finally:
            _stop(workers)
            console.show_cursor()


def _start(words: Sequence[str | os.PathLike], environment: dict[str, str], log: Path | None) -> subprocess.Popen:
    """Starts a worker, in a session of its own: Ctrl-C and Ctrl-Z at the terminal are for the launcher alone."""
    settings = {
        "env": {**os.environ, **environment},
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,
    }
    command = [sys.executable, *map(str, words)]
    if log is None:
        return subprocess.Popen(command, **settings)
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, **settings)


def _supervise(workers: Sequence[subprocess.Popen], logs: Sequence[Path]) -> None:
    deadline = None
    while True:
        statuses = [worker.poll() for worker in workers]
        failed = {rank: status for rank, status in enumerate(statuses) if status}
        if failed:
            deadline = deadline or time.monotonic() + _SECONDS_TO_END
            # One that only misses another waits for the other's own words, which may come later.
            cause = min(failed, key=lambda rank: (failed[rank] > 0, failed[rank] == WorkerLost.exit_status, rank))
            if failed[cause] != WorkerLost.exit_status or time.monotonic() > deadline or None not in statuses:
                _report(failed[cause], cause, logs)
        elif None not in statuses:
            return
        time.sleep(_POLL)


def _report(status: int, rank: int, logs: Sequence[Path]) -> None:
    who = f"worker {rank} of {len(logs)}"
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (the system kills so when memory runs out)" if -status == signal.SIGKILL else ""
        raise WorkerLost(f"{who} was killed by {name}{hint}; the others were stopped. {_RESUME}")
    if rank == 0:
        sys.exit(status)
    words = logs[rank].read_text(errors="replace").strip().splitlines() or ["nothing"]
    if status == WorkerLost.exit_status:
        raise WorkerLost(words[-1].removeprefix("error: "))
    said = "\n".join(f"  {line}" for line in words[-15:])
    raise TfsageError(f"{who} failed (status {status}); its last words were:\n{said}")


def _stop(workers: Sequence[subprocess.Popen]) -> None:
    """Ends what still runs; a worker may be killed at any moment, since only whole checkpoints are ever read."""
    if console.is_terminal and any(worker.poll() is None for worker in workers):
        console.print()  # Below the line of progress that the chief leaves behind.
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + _SECONDS_TO_END
    for worker in workers:
        try:
            worker.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise TfsageError(f"workers: no {count} free ports between {_PORTS.start} and {_PORTS.stop}")
