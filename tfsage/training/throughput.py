"""Where the time of training goes."""

import time
from collections import Counter

import tensorflow as tf
import tf_keras

PARTS = ("input", "forward", "backward", "optimizer")
CLOCKS = ("clock_ready", "clock_forward", "clock_backward")
"""When the batch of a step was there, when its loss was, when its gradients were: seconds by the host's clock, among
the logs of a step. On a GPU, work may still be queued when it seems done."""


def timed(tensors):
    """The same tensors, and the host's clock once they are computed: seconds, a float64 scalar.

    What uses them waits for the clock; with one thread for operations it would else be read at the end of the step.
    """
    present = [t for t in tf.nest.flatten(tensors, expand_composites=True) if t is not None]
    with tf.control_dependencies(present):
        # Not tf.timestamp, which does not run under deterministic operations.
        clock = tf.ensure_shape(tf.numpy_function(time.time, [], tf.float64), [])
    with tf.control_dependencies([clock]):
        same = tf.nest.map_structure(lambda t: None if t is None else tf.identity(t), tensors, expand_composites=True)
    return same, clock


class Throughput(tf_keras.callbacks.Callback):
    """Pairs a second, and how the time of a step divides.

    `input` is the wait for the next batch, `forward` goes up to the loss, `backward` up to the gradients (with cached
    gradients, the second embedding is part of it), `optimizer` up to the end of the step. Times are the host's
    (`CLOCKS`). The first step of a process is left out, since the graph is made in it; so is what lies
    between steps, such as checkpoints.

    Args:
        batch_size: pairs in a step.
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self._batch_size = batch_size
        self._seconds, self._epoch = Counter(), Counter()
        self._warm = False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = Counter()

    def on_train_batch_begin(self, batch, logs=None):
        self._begin = time.time()

    def on_train_batch_end(self, batch, logs=None):
        if not self._warm:
            self._warm = True
            return
        clocks = [self._begin, *(logs[name] for name in CLOCKS), time.time()]
        spent = Counter({part: last - first for part, first, last in zip(PARTS, clocks[:-1], clocks[1:], strict=True)})
        for seconds in (self._seconds, self._epoch):
            seconds.update(spent, steps=1)

    def of_epoch(self) -> dict[str, float]:
        """pairs_per_second, and seconds_PART of the mean step, in this epoch so far; empty before its first step."""
        return _rates(self._epoch, self._batch_size)

    def of_run(self) -> dict[str, float]:
        """The same since training began in this process."""
        return _rates(self._seconds, self._batch_size)

    def describe(self) -> str:
        """The same for people."""
        rates = self.of_run()
        if not rates:
            return "Throughput: too few steps to tell"
        step = sum(rates[f"seconds_{part}"] for part in PARTS)
        shares = ", ".join(f"{part} {rates[f'seconds_{part}'] / step:.0%}" for part in PARTS)
        return f"Throughput: {rates['pairs_per_second']:,.0f} pairs/s, {step * 1e3:,.0f} ms a step: {shares}"


def _rates(spent: Counter, batch_size: int) -> dict[str, float]:
    if not spent["steps"]:
        return {}
    seconds = {f"seconds_{part}": spent[part] / spent["steps"] for part in PARTS}
    return {"pairs_per_second": batch_size / sum(seconds.values()), **seconds}
