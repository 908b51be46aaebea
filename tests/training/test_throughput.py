from types import SimpleNamespace

import pytest
import tensorflow as tf

from tfsage.training import throughput
from tfsage.training.throughput import Throughput, timed


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(throughput.time, "time", lambda: now[0])
    return now


def step(callback, clock, begin, ready, forward, backward, end):
    clock[0] = begin
    callback.on_train_batch_begin(0)
    clock[0] = end
    logs = {"clock_ready": ready, "clock_forward": forward, "clock_backward": backward}
    callback.on_train_batch_end(0, logs)


def test_time_is_told_part_by_part_without_the_first_step_and_what_lies_between(clock):
    callback = Throughput(batch_size=100)
    callback.on_epoch_begin(0)
    step(callback, clock, 0, 50, 60, 70, 80)
    assert callback.of_run() == {} and "too few" in callback.describe()
    step(callback, clock, 100, 101, 103, 106, 110)
    step(callback, clock, 200, 203, 207, 214, 220)
    expected = {"seconds_input": 2, "seconds_forward": 3, "seconds_backward": 5, "seconds_optimizer": 5}
    assert callback.of_run() == {"pairs_per_second": pytest.approx(100 / 15), **expected}
    callback.on_epoch_begin(1)
    assert callback.of_epoch() == {}
    step(callback, clock, 300, 301, 301, 301, 304)
    assert callback.of_epoch()["pairs_per_second"] == pytest.approx(25)
    assert callback.of_run()["seconds_input"] == pytest.approx(5 / 3)
    assert "input 15%" in callback.describe() and "a step" in callback.describe()


def test_a_clock_is_read_before_what_it_timed_is_used(monkeypatch):
    events = []

    def event(name):
        events.append(name)
        return 1.0

    @tf.function
    def step(x):
        (x, ragged, nothing), ready = timed((x, tf.RaggedTensor.from_row_lengths(tf.range(3), [1, 2]), None))
        y = tf.numpy_function(lambda _: event("work"), [x], tf.float64)
        y, done = timed(y)
        return ready, y, done, ragged, nothing

    monkeypatch.setattr(throughput, "time", SimpleNamespace(time=lambda: event("clock")))
    _, _, _, ragged, nothing = step(tf.constant(0.0, tf.float64))
    assert events == ["clock", "work", "clock"]
    assert ragged.to_list() == [[0], [1, 2]] and nothing is None
