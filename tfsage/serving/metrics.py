"""What a model server counts, under TensorFlow Serving's metric names, as a Prometheus page.

Names, labels and buckets are those of `servables/tensorflow/util.cc` and `batching/batching_session.cc`; the page is
laid out as by `util/prometheus_exporter.cc`. As there, the numbers are of the process, not of one server in it.
"""

import bisect
import itertools
import math
import re
import threading
from collections.abc import Iterator, Sequence

_LONGEST_LABEL = 256


class Metric:
    """One family of numbers, by the values of its labels; safe to use from many threads.

    Args:
        name: TensorFlow's path, such as `/tensorflow/serving/request_count`.
        labels: the names of its labels.
    """

    kind = "untyped"
    most_cells = 1000
    """Names come from clients: further ones are counted together, so that nobody fills the memory with them."""

    def __init__(self, name: str, *labels: str):
        self.name, self.labels = name, labels
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, ...], object] = {}
        METRICS[name] = self

    @property
    def page_name(self) -> str:
        return re.sub(r"[^a-zA-Z0-9_]", ":", self.name)

    def lines(self) -> Iterator[str]:
        """The lines of this metric on the page."""
        yield f"# TYPE {self.page_name} {self.kind}"
        with self._lock:
            cells = sorted((values, self._copied(cell)) for values, cell in self._cells.items())
        for values, cell in cells:
            pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(self.labels, values, strict=True)]
            yield from self._cell_lines(pairs, cell)

    def _key(self, values: tuple[str, ...]) -> tuple[str, ...]:
        values = tuple(value[:_LONGEST_LABEL] for value in values)
        full = len(self._cells) >= self.most_cells and values not in self._cells
        return ("(other)",) * len(values) if full else values

    def _copied(self, cell):
        return cell

    def _cell_lines(self, pairs: list[str], cell) -> Iterator[str]:
        raise NotImplementedError


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def add(self, *values: str, by: int = 1) -> None:
        with self._lock:
            values = self._key(values)
            self._cells[values] = self._cells.get(values, 0) + by

    def value(self, *values: str) -> int:
        """What was counted so far; 0 for label values that were never seen."""
        with self._lock:
            return self._cells.get(values, 0)

    def first(self) -> int:
        """The number of the first cell, 0 if there is none: what a reload request can ask for."""
        with self._lock:
            return next(iter(self._cells.values()), 0)

    def _cell_lines(self, pairs, cell):
        yield f"{self.page_name}{{{','.join(pairs)}}} {cell}"


class Histogram(Metric):
    """How a quantity is distributed, in buckets that grow by a factor.

    Args:
        scale: upper end of the first bucket.
        growth: how much larger each bucket's end is than the one before.
        buckets: how many ends there are; what is larger than all falls into one more.
    """

    kind = "histogram"

    def __init__(self, name: str, *labels: str, scale: float, growth: float, buckets: int):
        super().__init__(name, *labels)
        self._ends = list(itertools.accumulate([growth] * (buckets - 1), lambda end, by: end * by, initial=scale))

    def add(self, *values: str, amount: float) -> None:
        with self._lock:
            values = self._key(values)
            if values not in self._cells:
                self._cells[values] = [0.0, [0] * (len(self._ends) + 1)]
            cell = self._cells[values]
            cell[0] += amount
            cell[1][bisect.bisect_right(self._ends, amount)] += 1

    def count(self, *values: str) -> int:
        with self._lock:
            return sum(self._cells[values][1]) if values in self._cells else 0

    def _copied(self, cell):
        return cell[0], list(cell[1])

    def _cell_lines(self, pairs, cell):
        total, counts = cell
        cumulative = list(itertools.accumulate(counts))
        for end, count in zip([*self._ends, math.inf], cumulative, strict=True):
            limit = "+Inf" if end == math.inf else f"{end:.6g}"
            inner = ",".join([*pairs, f'le="{limit}"'])
            yield f"{self.page_name}_bucket{{{inner}}} {count}"
        joined = ",".join(pairs)
        yield f"{self.page_name}_sum{{{joined}}} {total:.6g}"
        yield f"{self.page_name}_count{{{joined}}} {cumulative[-1]}"


METRICS: dict[str, Metric] = {}
"""Every metric of the process, by TensorFlow's path."""

_ROOT = "/tensorflow/serving"
_MICROSECONDS = {"scale": 10, "growth": 1.8, "buckets": 33}
_SIZES = {"scale": 1, "growth": 2, "buckets": 14}

request_count = Counter(f"{_ROOT}/request_count", "model_name", "status")
request_latency = Histogram(f"{_ROOT}/request_latency", "model_name", "API", "entrypoint", **_MICROSECONDS)
runtime_latency = Histogram(f"{_ROOT}/runtime_latency", "model_name", "API", "runtime", **_MICROSECONDS)
example_counts = Histogram(f"{_ROOT}/request_example_counts", "model", scale=1, growth=2, buckets=15)
example_count_total = Counter(f"{_ROOT}/request_example_count_total", "model")
warmup_latency = Histogram(f"{_ROOT}/model_warmup_latency", "model_path", "status", **_MICROSECONDS)
warmup_records = Counter(f"{_ROOT}/model_warmup_records_read", "model_path", "status")
queuing_latency = Histogram(
    f"{_ROOT}/batching_session/queuing_latency", "thread_pool_name", scale=100, growth=1.2, buckets=52
)
wrapped_run_count = Counter(f"{_ROOT}/batching_session/wrapped_run_count")
input_batch_size = Histogram(f"{_ROOT}/batching_session/input_batch_size", **_SIZES)
processed_batch_size = Histogram(f"{_ROOT}/batching_session/processed_batch_size", **_SIZES)
padding_size = Histogram(f"{_ROOT}/batching_session/padding_size", "execution_batch_size", **_SIZES)


def page() -> bytes:
    """All metrics in Prometheus' text format."""
    lines = itertools.chain.from_iterable(METRICS[name].lines() for name in sorted(METRICS))
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def values_of(names: Sequence[str]) -> dict[str, int]:
    """The counters of these paths; 0 for a path that is no counter."""
    return {name: metric.first() if isinstance(metric := METRICS.get(name), Counter) else 0 for name in names}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
