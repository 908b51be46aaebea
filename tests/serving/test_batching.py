"""The queues: what is merged, in which order, what is refused, and that nobody waits for ever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tfsage.serving import metrics
from tfsage.serving.batching import Batcher
from tfsage.serving.batching_options import BatchingOptions
from tfsage.serving.status import ServingError, invalid


class Doubler:
    """Doubles `x` and remembers every batch; a gate keeps it busy while requests pile up."""

    def __init__(self):
        self.batches, self.timeouts, self.gate = [], [], threading.Event()
        self.began = threading.Semaphore(0)
        self.gate.set()

    def __call__(self, feeds, fetches, timeout=None):
        self.began.release()
        assert self.gate.wait(10)
        self.batches.append(feeds["x"].tolist())
        self.timeouts.append(timeout)
        if (feeds["x"] < 0).any():
            raise invalid("negative numbers")
        return [2 * feeds["x"] for _ in fetches]


@pytest.fixture
def made():
    """Makes a batched doubler with these options, and closes its batcher afterwards."""
    batchers = []

    def make(**options):
        batchers.append(Batcher(BatchingOptions(**{"num_batch_threads": 1, **options})))
        doubler = Doubler()
        return doubler, batchers[-1].wrap(doubler)

    yield make
    for batcher in batchers:
        batcher.close()


def rows(*values) -> dict:
    return {"x": np.array(values, np.float32)}


def pile_up(doubler, runner, requests, **keywords):
    """Sends a first request that keeps the only thread busy, then the others, one by one, in this order."""
    doubler.gate.clear()
    pool = ThreadPoolExecutor(len(requests) + 1)
    first = pool.submit(runner, rows(0), ["y"])
    assert doubler.began.acquire(timeout=10)
    calls = []
    for request in requests:
        seen = metrics.input_batch_size.count()
        calls.append(pool.submit(runner, request, ["y"], **keywords))
        while metrics.input_batch_size.count() == seen:
            time.sleep(0.001)
        time.sleep(0.02)
    doubler.gate.set()
    assert first.result(10)[0].tolist() == [0]
    pool.shutdown(wait=False)
    return calls


def test_what_waits_together_runs_together_and_everyone_gets_his_rows(made):
    doubler, runner = made(max_batch_size=4)
    calls = pile_up(doubler, runner, [rows(1), rows(2, 3), rows(4), rows(5)])
    assert [call.result(10)[0].tolist() for call in calls] == [[2], [4, 6], [8], [10]]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5]]


def test_batches_are_filled_up_to_an_allowed_size(made):
    doubler, runner = made(max_batch_size=4, allowed_batch_sizes=(1, 4))
    calls = pile_up(doubler, runner, [rows(1), rows(2)])
    assert [call.result(10)[0].tolist() for call in calls] == [[2], [4]]
    assert doubler.batches == [[0], [1, 2, 2, 2]]


def test_a_full_queue_is_unavailable_and_the_others_are_answered(made):
    doubler, runner = made(max_batch_size=2, max_enqueued_batches=2)
    calls = pile_up(doubler, runner, [rows(1, 2), rows(3), rows(4, 5), rows(6)])
    with pytest.raises(ServingError) as refused:
        calls[2].result(10)
    assert (refused.value.code.name, refused.value.message) == (
        "UNAVAILABLE",
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
        "max_enqueued_batches is 2",
    )
    assert [calls[place].result(10)[0].tolist() for place in (0, 1, 3)] == [[2, 4], [6], [12]]


def test_the_oldest_waits_no_longer_than_the_timeout_and_a_full_batch_not_at_all(made):
    doubler, runner = made(max_batch_size=2, batch_timeout_micros=300_000)
    started = time.monotonic()
    assert runner(rows(1), ["y"])[0].tolist() == [2]
    assert time.monotonic() - started >= 0.3
    started = time.monotonic()
    runner(rows(1, 2), ["y"])
    assert time.monotonic() - started < 0.3


def test_a_request_above_the_limit_is_refused_and_splitting_spreads_one_below_it(made):
    doubler, runner = made(max_batch_size=5)
    with pytest.raises(ServingError, match="^Task size 6 is larger than maximum input batch size 5$"):
        runner(rows(*range(6)), ["y"])
    doubler, runner = made(max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=4)
    assert runner(rows(*range(10)), ["y", "z"])[1].tolist() == list(range(0, 20, 2))
    assert sorted(map(len, doubler.batches)) == [2, 4, 4]


def test_splitting_fills_the_open_batch_first(made):
    doubler, runner = made(max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=4)
    calls = pile_up(doubler, runner, [rows(1), rows(2, 3, 4, 5, 6)])
    assert [call.result(10)[0].tolist() for call in calls] == [[2], [4, 6, 8, 10, 12]]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_other_outputs_and_other_models_are_not_merged(made):
    doubler, runner = made()
    other = runner._batcher.wrap(Doubler())
    doubler.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(runner, rows(0), ["y"])
        assert doubler.began.acquire(timeout=10)
        calls = [pool.submit(run, rows(1), names) for run, names in ((runner, ["y"]), (runner, ["z"]), (other, ["y"]))]
        time.sleep(0.05)
        doubler.gate.set()
        assert [call.result(10)[0].tolist() for call in [first, *calls]] == [[0], [2], [2], [2]]
    assert doubler.batches == [[0], [1], [1]]


def test_an_error_reaches_every_request_of_its_batch_and_no_other(made):
    doubler, runner = made()
    calls = pile_up(doubler, runner, [rows(1), rows(-1)])
    for call in calls:
        with pytest.raises(ServingError, match="negative numbers"):
            call.result(10)
    assert runner(rows(3), ["y"])[0].tolist() == [6]


def test_a_bug_in_the_model_is_an_error_and_not_a_wait_for_ever(made):
    _, runner = made()
    with pytest.raises(ServingError, match="^Batch failed: ") as refused:
        runner({"wrong": np.zeros(1)}, ["y"])
    assert refused.value.code.name == "INTERNAL"


def test_deadlines(made):
    doubler, runner = made(max_batch_size=1)
    calls = pile_up(doubler, runner, [rows(1)], timeout=0.001)
    with pytest.raises(ServingError) as refused:
        calls[0].result(10)
    assert (refused.value.code.name, refused.value.message) == (
        "RESOURCE_EXHAUSTED",
        "Run() timeout exceeded while waiting in batching queue",
    )
    runner(rows(1), ["y"], timeout=5.0)
    assert 0 < doubler.timeouts[-1] <= 5


def test_closing_answers_what_waits_and_refuses_what_comes(made):
    doubler, runner = made(batch_timeout_micros=60_000_000)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(runner, rows(1), ["y"])
        while not runner._batcher._queues:
            time.sleep(0.001)
        runner._batcher.close()
        assert call.result(10)[0].tolist() == [2]
    with pytest.raises(ServingError, match="shutting down"):
        runner(rows(1), ["y"])


def test_many_threads_get_their_own_answers(made):
    doubler, runner = made(max_batch_size=16, num_batch_threads=2, max_enqueued_batches=1000)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: runner(rows(number), ["y"])[0].item(), range(500)))
    assert answers == [2 * number for number in range(500)]
    assert max(map(len, doubler.batches)) <= 16
