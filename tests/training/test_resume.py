import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.conftest import ROOT, TINY, command


def weights(run):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "checkpoints")))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name and "_loss" not in name
    }


@pytest.fixture
def train(prepared, tiny_config_file, tmp_path):
    def words(folder):
        return ["tfsage.cli", "train", "--data", prepared, "--config", tiny_config_file, "--run", folder]

    return words


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(train, trained_run, tmp_path):
    run = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-m", *map(str, train(run))], cwd=ROOT)
    deadline = time.time() + 200
    # The file that names the last checkpoint is the last to be written.
    while not (run / "checkpoints" / "checkpoint").exists() and time.time() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = command(train(run))
    assert "Going on from step" in done.stderr
    expected, found = weights(trained_run), weights(run)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    steps = [json.loads(line)["step"] for line in (run / "history.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] == 12


def test_a_finished_run_is_left_as_it_is(train, trained_run):
    before = weights(trained_run)
    command(train(trained_run))
    after = weights(trained_run)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_another_config_is_refused(prepared, trained_run, tmp_path):
    changed = {**TINY, "training": {**TINY["training"], "seed": 2}}
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump(changed))
    done = command(["tfsage.cli", "train", "--data", prepared, "--config", file, "--run", trained_run], expect=1)
    assert "another config" in done.stderr
