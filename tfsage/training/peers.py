"""Workers look after each other: one that dies or stops is named, and nobody waits for it in silence."""

import contextlib
import os
import threading
import time

import grpc
import tensorflow as tf
from rich.text import Text

from tfsage.console import console
from tfsage.errors import WorkerLost
from tfsage.training.cluster import Cluster

_STATUS = "/tensorflow.WorkerService/GetStatus"
"""A call that every TensorFlow server answers by itself, however busy the training is."""

_TICK = 1.0
_INTERVAL = 5.0
_TIMEOUT = 5.0
_PATIENCE = 40.0
"""Seconds of silence after which a worker counts as lost, even if TensorFlow has not noticed."""
_NOTICE_WAITING = 30.0
_LOOK = 15.0
"""Seconds in which to find out whom a broken operation missed."""
_LINGER = 15.0
"""Seconds in which every other worker notices the same loss: TensorFlow's heartbeats have a timeout of 10."""

_BROKEN = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
"""How TensorFlow's collective operations fail when a worker is missing."""


class PeerWatch:
    """Watches the other workers while a block runs; with one worker alone it does nothing.

        with PeerWatch(cluster) as watch:
            strategy = choose_strategy(cluster)
            watch.all_there()
            ...

    Until `all_there` it says now and then whom it waits for. From then on, when collective operations break off, it
    finds out whom they missed and raises an error that names the worker. A thread asks the others, too: should
    TensorFlow itself hang (in a GPU library, say), it ends the process with the same message. It also ends the process
    when the command that started all workers of this host is gone.

    Raises:
        WorkerLost: (on leaving the block) a worker died, stopped or was restarted.
    """

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._peers = [rank for rank in range(cluster.size) if rank != cluster.rank]
        self._done = threading.Event()
        self._met: dict[int, bytes] = {}
        self._heard: dict[int, float] = {}
        self._thread = threading.Thread(target=self._run, name="peer watch", daemon=True)

    def __enter__(self) -> "PeerWatch":
        if self._peers:
            self._thread.start()
        return self

    def all_there(self) -> None:
        """To be called when the workers have met, since from now on silence means that one is lost."""
        self._met = self._ask()
        self._heard = dict.fromkeys(self._peers, time.monotonic())

    def __exit__(self, kind, error, trace) -> None:
        self._done.set()
        if self._peers and isinstance(error, _BROKEN):
            lost = self._find_lost()
            if not lost and "ollective" not in str(error):
                return
            if len(lost) < len(self._peers) and self._cluster.launcher is None:
                time.sleep(_LINGER)  # Others would take this one for lost if it left before they have noticed.
            raise WorkerLost(self._explain(lost, error)) from None

    def _find_lost(self) -> dict[int, str]:
        """What became of the workers that are not as they were, by rank."""
        deadline = time.monotonic() + _LOOK
        while True:
            answers = self._ask()
            lost = {rank: "no longer answers: it died or was stopped" for rank in self._peers if rank not in answers}
            for rank in answers.keys() & self._met.keys():
                if answers[rank] != self._met[rank]:
                    lost[rank] = "was restarted"
            if lost or time.monotonic() > deadline:
                return lost
            time.sleep(_TICK)

    def _explain(self, lost: dict[int, str], error: Exception | None = None) -> str:
        what = "; ".join(f"{self._cluster.name(rank)} {fate}" for rank, fate in sorted(lost.items()))
        if not lost:
            what = f"the connection between workers broke, though all of them answer ({_reason(error)})"
        return f"{what}. Start all workers again with the same command, to go on from the last checkpoint"

    def _run(self) -> None:
        asked = noticed = time.monotonic()
        while not self._done.wait(_TICK):
            if self._cluster.launcher is not None and os.getppid() != self._cluster.launcher:
                os._exit(1)
            if time.monotonic() - asked < _INTERVAL:
                continue
            answers = self._ask()
            asked = time.monotonic()
            if self._heard:
                self._heard.update(dict.fromkeys(answers, asked))
                silent = [rank for rank, heard in self._heard.items() if asked - heard > _PATIENCE]
                if silent and not self._done.is_set():
                    self._give_up(silent)
            elif asked - noticed >= _NOTICE_WAITING:
                noticed = asked
                self._say_who_is_missing(answers)

    def _say_who_is_missing(self, answers: dict[int, bytes]) -> None:
        missing = [self._cluster.name(rank) for rank in self._peers if rank not in answers]
        if missing:
            console.print(Text(f"Waiting for {', '.join(missing)}"), soft_wrap=True)

    def _give_up(self, silent: list[int]) -> None:
        message = self._explain(dict.fromkeys(silent, "no longer answers: it died or was stopped"))
        console.show_cursor()
        console.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
        os._exit(WorkerLost.exit_status)

    def _ask(self) -> dict[int, bytes]:
        """What those workers that answer say of themselves, by rank; the same process always says the same."""
        with contextlib.ExitStack() as stack:
            calls = {}
            for rank in self._peers:
                channel = grpc.insecure_channel(self._cluster.addresses[rank], [("grpc.enable_http_proxy", 0)])
                stack.callback(channel.close)
                calls[rank] = channel.unary_unary(_STATUS).future(b"", timeout=_TIMEOUT)
            return {rank: call.result() for rank, call in calls.items() if call.exception() is None}


def _reason(error: Exception | None) -> str:
    """The line of a TensorFlow error that says what happened: the last one that is not about where."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith(("[[", "Detected", "File"))), "")
