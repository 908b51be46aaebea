"""Batching: requests that wait at the same time run as one, with the queues of TensorFlow Serving.

Every model version and set of inputs and outputs has a queue of its own; one pool of threads takes batches from all
queues in turn. A batch may run when it is full, or its oldest request has waited long enough.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import grpc
import numpy as np

from tfsage.serving import metrics
from tfsage.serving.batching_options import BatchingOptions
from tfsage.serving.merge import Feeds, allowed_size, merge, rows_of, split
from tfsage.serving.status import ServingError, invalid

Run = Callable[..., list[np.ndarray]]
"""Runs feeds and fetches, with a timeout: a `SessionRunner`."""

_LAST_BATCH_SECONDS = 10.0


class Batcher:
    """The pool of threads, and the queues it serves; close it when its models are closed."""

    def __init__(self, options: BatchingOptions):
        self.options = options
        self._changed = threading.Condition()
        self._queues: dict[Hashable, _Queue] = {}
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch_{number}", daemon=True)
            for number in range(options.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def wrap(self, run: Run) -> "BatchedRunner":
        """Calls of the result are merged with each other; `run` does the work."""
        return BatchedRunner(self, run)

    def forget(self, runner: "BatchedRunner") -> None:
        """Drops the queues of a model that takes no calls any more."""
        with self._changed:
            for key in [key for key, queue in self._queues.items() if queue.runner is runner]:
                del self._queues[key]

    def close(self) -> None:
        """Runs what is waiting, then ends the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_LAST_BATCH_SECONDS)

    def put(self, runner: "BatchedRunner", tasks: "list[_Task]") -> None:
        """Queues the parts of one request: all of them or, if there is no room, none.

        Raises:
            ServingError: UNAVAILABLE.
        """
        first = tasks[0]
        key = (runner, frozenset(first.feeds), first.fetches)
        with self._changed:
            if self._closed:
                raise ServingError(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue(runner, self.options)
            queue.add(tasks)
            self._changed.notify(len(tasks))

    def open_slots(self, runner: "BatchedRunner", feeds: Feeds, fetches: Hashable) -> int:
        """How many rows the newest waiting batch still takes."""
        with self._changed:
            queue = self._queues.get((runner, frozenset(feeds), fetches))
            return 0 if queue is None else queue.open_slots

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            batch.runner.run_batch(batch.tasks)

    def _next_batch(self) -> "_Batch | None":
        with self._changed:
            while True:
                soonest = None
                for key, queue in list(self._queues.items()):
                    wait = 0.0 if queue.batches and self._closed else queue.seconds_until_due()
                    if wait is not None and wait <= 0:
                        # The queue that was served goes to the end of the line.
                        self._queues[key] = self._queues.pop(key)
                        return _Batch(queue.runner, queue.take())
                    if wait is not None:
                        soonest = wait if soonest is None else min(soonest, wait)
                if self._closed:
                    return None
                self._changed.wait(soonest)


class BatchedRunner:
    """Stands where a model's `SessionRunner` stood."""

    def __init__(self, batcher: Batcher, run: Run):
        self._batcher, self._run = batcher, run

    def __call__(self, feeds: Feeds, fetches: Sequence[Hashable], timeout: float | None = None) -> list[np.ndarray]:
        """The values of `fetches`, computed together with what else was waiting.

        Raises:
            ServingError: what the session refused for the whole batch; a request that is too large or not made of
                rows (INVALID_ARGUMENT); a full queue (UNAVAILABLE); a deadline that passed in it (RESOURCE_EXHAUSTED).
        """
        options, rows = self._batcher.options, rows_of(feeds)
        for _ in feeds:
            metrics.input_batch_size.add(amount=rows)
        if rows > options.max_batch_size:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {options.max_batch_size}")
        now = time.monotonic()
        deadline = None if timeout is None else now + timeout
        names = tuple(fetches)
        tasks = [_Task(part, names, rows_of(part), now, deadline) for part in self._parts(feeds, names, rows)]
        self._batcher.put(self, tasks)
        answers = [task.answer() for task in tasks]
        return answers[0] if len(answers) == 1 else [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    def _parts(self, feeds: Feeds, fetches: tuple, rows: int) -> list[Feeds]:
        size = self._batcher.options.execution_size
        if not self._batcher.options.enable_large_batch_splitting or rows == 0:
            return [feeds]
        first = min(rows, self._batcher.open_slots(self, feeds, fetches) or size)
        ends = [first, *range(first + size, rows, size), rows] if first < rows else [rows]
        starts = [0, *ends[:-1]]
        return [
            {name: array[start:end] for name, array in feeds.items()} for start, end in zip(starts, ends, strict=True)
        ]

    def run_batch(self, tasks: "list[_Task]") -> None:
        """Runs tasks together and gives each its rows, or its error."""
        try:
            answers = self._answers(tasks)
        except ServingError as error:
            for task in tasks:
                task.fail(error)
        except Exception as error:  # Whatever it is, the callers must not wait for ever.
            for task in tasks:
                task.fail(ServingError(grpc.StatusCode.INTERNAL, f"Batch failed: {error}"))
        else:
            for task, answer in zip(tasks, answers, strict=True):
                task.succeed(answer)

    def _answers(self, tasks: "list[_Task]") -> list[list[np.ndarray]]:
        options, now = self._batcher.options, time.monotonic()
        for task in tasks:
            metrics.queuing_latency.add(options.thread_pool_name, amount=(now - task.since) * 1e6)
        deadlines = [task.deadline for task in tasks]
        latest = None if None in deadlines else max(deadlines)
        if latest is not None and latest <= now:
            raise ServingError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue"
            )
        sizes = [task.rows for task in tasks]
        rows = sum(sizes)
        # Rows to fill up with are copies of the last request's first row, so it must have one.
        size = allowed_size(rows, options.allowed_batch_sizes) if sizes[-1] else rows
        metrics.padding_size.add(str(size), amount=size - rows)
        metrics.processed_batch_size.add(amount=size)
        merged = merge([task.feeds for task in tasks], size, options.pad_variable_length_inputs)
        metrics.wrapped_run_count.add()
        outputs = self._run(merged, tasks[0].fetches, None if latest is None else latest - now)
        return split(outputs, sizes, size)


class _Task:
    """A request, or a part of one, that waits for its answer."""

    def __init__(self, feeds: Feeds, fetches: tuple, rows: int, since: float, deadline: float | None):
        self.feeds, self.fetches, self.rows, self.since, self.deadline = feeds, fetches, rows, since, deadline
        self._done = threading.Event()

    def succeed(self, values: list[np.ndarray]) -> None:
        self._values, self._error = values, None
        self._done.set()

    def fail(self, error: ServingError) -> None:
        self._values, self._error = None, error
        self._done.set()

    def answer(self) -> list[np.ndarray]:
        self._done.wait()
        if self._error is not None:
            raise ServingError(self._error.code, self._error.message)
        return self._values


class _Batch(NamedTuple):
    runner: BatchedRunner
    tasks: list[_Task]


class _Queue:
    """Batches that wait, oldest first; only the newest still takes tasks. The batcher's lock guards it."""

    def __init__(self, runner: BatchedRunner, options: BatchingOptions):
        self.runner, self._options = runner, options
        self.batches: deque[list[_Task]] = deque()

    @property
    def open_slots(self) -> int:
        return self._options.execution_size - _rows(self.batches[-1]) if self.batches else 0

    def add(self, tasks: list[_Task]) -> None:
        slots, batches = self.open_slots, len(self.batches)
        joins = [bool(batches) and tasks[0].rows <= slots, *[False] * (len(tasks) - 1)]
        if batches + joins.count(False) > self._options.max_enqueued_batches:
            raise ServingError(
                grpc.StatusCode.UNAVAILABLE,
                f"The batch scheduling queue to which this task was submitted is full; currently {batches} batches "
                f"enqueued and max_enqueued_batches is {self._options.max_enqueued_batches}",
            )
        for task, join in zip(tasks, joins, strict=True):
            if join:
                self.batches[-1].append(task)
            else:
                self.batches.append([task])

    def take(self) -> list[_Task]:
        return self.batches.popleft()

    def seconds_until_due(self) -> float | None:
        """0 or less: the oldest batch may run; None: there is none."""
        if not self.batches:
            return None
        oldest = self.batches[0]
        if len(self.batches) > 1 or _rows(oldest) >= self._options.execution_size:
            return 0.0
        return oldest[0].since + self._options.batch_timeout_micros / 1e6 - time.monotonic()


def _rows(tasks: list[_Task]) -> int:
    return sum(task.rows for task in tasks)
