"""A training goes on where it left off, on as many devices as before or on others."""

import shutil
import signal
from pathlib import Path

import pytest
import tensorflow as tf

from tests.conftest import TINY, command
from tests.training.runs import (
    assert_close_weights,
    assert_same_weights,
    last_step,
    start,
    steps_of_history,
    wait_until,
)
from tfsage.config import Config
from tfsage.errors import TfsageError
from tfsage.training import shared_folder
from tfsage.training.run import Run
from tfsage.training.shared_folder import claim, wait_for


@pytest.fixture
def train(prepared, tiny_config_file):
    def words(folder):
        return ["tfsage.cli", "train", "--data", prepared, "--config", tiny_config_file, "--run", folder]

    return words


@pytest.fixture
def stopped_run(trained_run, tmp_path) -> Path:
    """What is left of the trained run when it is killed between steps 6 and 9."""
    folder = shutil.copytree(trained_run, tmp_path / "stopped")
    (folder / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "ckpt-6"\n')
    for step in (9, 12):
        for file in (folder / "checkpoints").glob(f"ckpt-{step}.*"):
            file.unlink()
    return folder


def kill_when(condition, words: list) -> None:
    process = start(words)
    wait_until(condition, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(train, trained_run, prepared, tiny_config, tmp_path):
    run = tmp_path / "killed"
    Run.create(run, tiny_config, prepared)  # what a kill before the first step leaves
    kill_when(lambda: last_step(run), train(run))
    # What a kill leaves of a checkpoint that was being written.
    for name in ("index", "data-00000-of-00001"):
        (run / "checkpoints" / f"ckpt-{last_step(run) + 3}.{name}").write_bytes(b"half")
    done = command(train(run))
    assert "Going on from step" in done.stderr
    assert_same_weights(run, trained_run)
    assert steps_of_history(run) == [5, 10, 12]


def test_the_last_three_checkpoints_are_kept(trained_run):
    files = {file.name.split(".")[0] for file in (trained_run / "checkpoints").iterdir()}
    assert files == {"checkpoint", "ckpt-6", "ckpt-9", "ckpt-12"}


def test_another_number_of_replicas_keeps_the_batches_and_says_what_differs(train, stopped_run, trained_run):
    said = " ".join(command([*train(stopped_run), "--replicas", 2]).stderr.split())
    assert "Going on from step 6 of 12" in said
    assert "Before on 1 replica, now on 2 replicas: the global batch stays 48 pairs" in said
    assert_close_weights(stopped_run, trained_run)
    with pytest.raises(AssertionError):
        assert_same_weights(stopped_run, trained_run)
    layout = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(stopped_run / "checkpoints"))).get_tensor
    assert layout("layout/.ATTRIBUTES/VARIABLE_VALUE").tolist() == [2, 1]


def test_a_finished_run_is_left_as_it_is(train, trained_run, tmp_path):
    before = shutil.copytree(trained_run, tmp_path / "before")
    done = command(train(trained_run))
    assert "Before on" not in done.stderr
    assert_same_weights(trained_run, before)


def test_another_config_is_refused(prepared, trained_run):
    changed = Config.model_validate({**TINY, "training": {**TINY["training"], "seed": 2}})
    with pytest.raises(TfsageError, match="holds a run with another config"):
        Run.create(trained_run, changed, prepared)


def test_a_folder_belongs_to_one_training_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_folder, "_SECONDS_TO_END", 0.0)
    with claim(tmp_path), pytest.raises(TfsageError, match="another process trains into this folder"):
        claim(tmp_path)
    claim(tmp_path).close()


def test_a_worker_that_does_not_see_the_run_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_folder, "_SECONDS_TO_SEE", 0.0)
    with pytest.raises(TfsageError, match="run.json: this worker does not see .* a file system that all workers share"):
        wait_for(tmp_path / "run.json")
