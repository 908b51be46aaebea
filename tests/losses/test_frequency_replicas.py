"""The same stream, on any number of replicas: the same tables, bit by bit, on each of them and in the checkpoint."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.losses.frequency_replicas import STEPS, Counting, batch, cuts

LAYOUTS = {"2_replicas": 2, "4_replicas": 4, "worker_0": 1, "worker_1": 1}
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """What one device, without any strategy, makes of the stream; and its checkpoint of half way."""
    counting = Counting(tf.distribute.get_strategy())
    counting.run(range(STEPS // 2))
    checkpoint = counting.checkpoint.write(str(tmp_path_factory.mktemp("one_device") / "half"))
    log_q = counting.run(range(STEPS // 2, STEPS))
    return {"whole": counting.state(), "log_q": log_q, "checkpoint": checkpoint}


@pytest.fixture(scope="module")
def outputs(one_device, tmp_path_factory):
    """The folder that each process left; they run side by side."""
    root = tmp_path_factory.mktemp("replicas")
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    processes = {}
    try:
        for layout, replicas in LAYOUTS.items():
            (root / layout).mkdir()
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
            words = [sys.executable, "-m", "tests.losses.frequency_replicas", one_device["checkpoint"], root / layout]
            if layout.startswith("worker"):
                task = {"type": "worker", "index": int(layout[-1])}
                environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
            else:
                words.append(str(replicas))
            log = (root / layout / "log.txt").open("w")
            processes[layout] = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)
        for layout, process in processes.items():
            assert process.wait(timeout=240) == 0, (root / layout / "log.txt").read_text()
    finally:
        for process in processes.values():
            process.kill()
    return root


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_the_stream_has_empty_and_uneven_parts():
    for replicas in (2, 4):
        sizes = np.array([np.diff(cuts(step, len(batch(step)), replicas)) for step in range(STEPS)])
        assert np.all(sizes.sum(axis=1) == [len(batch(step)) for step in range(STEPS)])
        assert np.all(sizes.min(axis=1) == 0)
        assert np.all(sizes.max(axis=1) > sizes.min(axis=1) + 1)


@every_layout
@pytest.mark.parametrize("part", ["whole", "log_q", "resumed"])
def test_equals_one_device_on_every_replica(one_device, outputs, layout, part):
    """`resumed` goes on from the checkpoint of one device."""
    found = dict(np.load(outputs / layout / f"{part}.npz"))
    assert {len(copies) for copies in found.values()} == {LAYOUTS[layout]}
    equal(found, one_device["log_q" if part == "log_q" else "whole"])


def test_one_device_goes_on_from_the_checkpoint_of_replicas(one_device, outputs):
    counting = Counting(tf.distribute.get_strategy())
    for layout in LAYOUTS:
        counting.checkpoint.read(str(outputs / layout / "half")).assert_consumed()
        counting.run(range(STEPS // 2, STEPS))
        equal(counting.state(), one_device["whole"])


def test_a_strategy_of_one_replica_is_one_device(one_device):
    counting = Counting(tf.distribute.MirroredStrategy(["CPU:0"]))
    counting.run(range(STEPS))
    equal(counting.state(), one_device["whole"])


@pytest.mark.parametrize("layout", ["2_replicas", "4_replicas"])
def test_ids_that_are_not_gathered_would_be_noticed(outputs, layout):
    tables = np.load(outputs / layout / "ungathered.npz")["cells"]
    assert len(np.unique(tables, axis=0)) == LAYOUTS[layout]


def equal(found, expected):
    """Bit by bit, in each of the copies found; the one device has a single one."""
    assert sorted(found) == sorted(expected)
    for name, (value,) in expected.items():
        for copy in found[name]:
            assert copy.dtype == value.dtype
            np.testing.assert_array_equal(copy, value, err_msg=name)
