"""A worker that dies, stops, starts anew or never comes is named by the others."""

import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest
import tensorflow as tf

from tfsage.errors import WorkerLost
from tfsage.training import peers
from tfsage.training.cluster import Cluster
from tfsage.training.peers import PeerWatch

ENDED = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
BROKEN = tf.errors.UnavailableError(None, None, "Graph execution error:\n\nCollective ops is aborted by: Socket closed")


class FakeWorker:
    """Answers as a TensorFlow server does; it may be silent, or gone."""

    def __init__(self):
        self.says, self.silent = b"the first", False
        self._server = grpc.server(ThreadPoolExecutor(8))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.add_generic_rpc_handlers([self])
        self._server.start()

    def service(self, call):
        assert call.method == "/tensorflow.WorkerService/GetStatus"
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request, context):
        if self.silent:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "stopped")
        return self.says

    def stop(self):
        self._server.stop(None).wait()


@pytest.fixture
def others():
    workers = [FakeWorker(), FakeWorker()]
    yield workers
    for worker in workers:
        worker.stop()


@pytest.fixture
def cluster(others):
    """This process is rank 1."""
    return Cluster((others[0].address, "127.0.0.1:1", others[1].address), rank=1)


@pytest.fixture
def fast(monkeypatch):
    """Every time divided by a hundred."""
    for name in ("_TICK", "_INTERVAL", "_PATIENCE", "_NOTICE_WAITING", "_LOOK", "_LINGER"):
        monkeypatch.setattr(peers, name, getattr(peers, name) / 100)


def broken_by(cluster: Cluster, happening, error: Exception = BROKEN) -> str:
    """The message of a watch under which collective operations broke off after something happened."""
    with pytest.raises(WorkerLost) as raised, PeerWatch(cluster) as watch:
        watch.all_there()
        happening()
        raise error
    return str(raised.value)


def test_a_dead_worker_is_named(fast, cluster, others):
    message = broken_by(cluster, others[1].stop)
    assert message.startswith(f"worker 2 ({others[1].address}) no longer answers: it died or was stopped. ")
    assert "with the same command" in message and "worker 0" not in message


def test_a_stopped_worker_is_named(fast, cluster, others):
    message = broken_by(cluster, lambda: setattr(others[0], "silent", True))
    assert message.startswith(f"worker 0 ({others[0].address}) no longer answers") and "worker 2" not in message


def test_a_restarted_worker_is_another_one(fast, cluster, others):
    message = broken_by(cluster, lambda: setattr(others[0], "says", b"the second"))
    assert message.startswith(f"worker 0 ({others[0].address}) was restarted. ")


def test_a_broken_network_is_said_when_all_answer(fast, cluster):
    message = broken_by(cluster, lambda: None)
    assert message.startswith("the connection between workers broke, though all of them answer (Collective ops is abor")


@pytest.mark.parametrize("error", [ValueError("mine"), tf.errors.InvalidArgumentError(None, None, "mine")])
def test_other_errors_are_left_alone(fast, cluster, others, error):
    with pytest.raises(type(error), match="mine"), PeerWatch(cluster) as watch:
        watch.all_there()
        others[1].stop()
        raise error


def test_an_error_that_is_nobodys_loss_is_left_alone(fast, cluster):
    with pytest.raises(tf.errors.InternalError, match="mine"), PeerWatch(cluster) as watch:
        watch.all_there()
        raise tf.errors.InternalError(None, None, "mine")


def test_a_worker_alone_watches_nobody():
    with pytest.raises(tf.errors.UnavailableError), PeerWatch(Cluster()) as watch:
        watch.all_there()
        raise BROKEN


@pytest.fixture
def left(monkeypatch):
    """Statuses with which the process would have ended."""
    statuses = []

    def leave(status):
        statuses.append(status)
        raise SystemExit

    monkeypatch.setattr(peers, "os", SimpleNamespace(_exit=leave, getppid=os.getppid))
    return statuses


def wait(watch: PeerWatch, seconds: float = 30.0) -> None:
    watch._thread.join(seconds)


@ENDED
def test_a_process_that_hangs_is_ended_when_another_is_lost(fast, cluster, others, left, capsys):
    with PeerWatch(cluster) as watch:
        watch.all_there()
        others[0].silent = True
        wait(watch)
    assert left == [75]
    error = capsys.readouterr().err
    assert error.startswith(f"error: worker 0 ({others[0].address}) no longer answers") and "worker 2" not in error


def test_silence_before_all_have_met_is_waiting_said_aloud(fast, cluster, others, left, capsys):
    others[1].stop()
    with PeerWatch(cluster) as watch:
        wait(watch, 2.0)
    assert left == []
    lines = capsys.readouterr().err.splitlines()
    assert lines and set(lines) == {f"Waiting for worker 2 ({others[1].address})"}


@ENDED
@pytest.mark.parametrize(("launcher", "statuses"), [(os.getppid(), []), (1 << 30, [1])])
def test_without_its_launcher_a_worker_ends(fast, others, left, launcher, statuses):
    with PeerWatch(Cluster((others[0].address, "127.0.0.1:1"), 1, launcher)) as watch:
        watch.all_there()
        wait(watch, 0.5)
    assert left == statuses
