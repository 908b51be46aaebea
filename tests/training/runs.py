"""What tests look at in a run folder, and how they start and kill a training."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.conftest import ROOT

_NOT_TRAINED = ("OBJECT_GRAPH", "save_counter", "_means", "_task_losses", "keras_api", "layout")
"""Parts of a checkpoint that are no state of the training: means of the running epoch, who wrote it."""


def weights(run: Path) -> dict[str, np.ndarray]:
    """Everything of the last checkpoint that training goes on from, by name."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "checkpoints")))
    names = [name for name in reader.get_variable_to_shape_map() if not any(part in name for part in _NOT_TRAINED)]
    return {name: reader.get_tensor(name) for name in names}


def assert_same_weights(run: Path, other: Path) -> None:
    """Equal to the bit."""
    found, expected = weights(run), weights(other)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def assert_close_weights(run: Path, other: Path) -> None:
    """Equal up to the rounding of float32."""
    found, expected = weights(run), weights(other)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5 * max(1.0, np.abs(value).max()), err_msg=name)


def steps_of_history(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "history.jsonl").read_text().splitlines()]


def start(words: list, environment: dict[str, str] | None = None) -> subprocess.Popen:
    """Starts one of the project's modules; its words are collected."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], object], process: subprocess.Popen | None = None, seconds: float = 240.0):
    """What the condition gives, once that is true; fails when the process ends before, or time runs out."""
    deadline = time.monotonic() + seconds
    while not (met := condition()):
        ended = process is not None and process.poll() is not None
        assert not ended, f"ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
    return met


def last_step(run: Path) -> int:
    """The step of the last complete checkpoint; 0 without one."""
    latest = tf.train.latest_checkpoint(str(run / "checkpoints"))
    return int(latest.rsplit("-", 1)[1]) if latest else 0
