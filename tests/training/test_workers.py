"""Workers on one host: what one of them says, fails or dies of, and that they train as one device does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.training.plain_workers import run_plain
from tests.training.runs import (
    assert_close_weights,
    assert_same_weights,
    last_step,
    start,
    steps_of_history,
    wait_until,
)
from tests.training.toy_engine import alone
from tests.training.workers_engine import CASES
from tfsage.cli import app
from tfsage.errors import TfsageError, WorkerLost
from tfsage.training import workers
from tfsage.training.workers import run_workers


def runs(process: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def test_the_chief_is_heard_and_the_others_are_quiet(tmp_path, capfd):
    run_plain("print('out', rank); print('err', rank, file=sys.stderr)", tmp_path)
    assert capfd.readouterr() == ("out 0\n", "err 0\n")


def test_a_killed_worker_is_named_and_the_others_are_stopped(tmp_path):
    with pytest.raises(WorkerLost, match="^worker 1 of 2 was killed by SIGKILL .*the same command goes on"):
        run_plain("os.kill(os.getpid(), signal.SIGKILL) if rank else time.sleep(100)", tmp_path)
    assert not runs(int((tmp_path / "0").read_text()))


def test_the_last_words_of_a_worker_are_in_the_message(tmp_path):
    with pytest.raises(TfsageError, match=r"^worker 1 of 2 failed \(status 3\); its last words .*:\n  error: no data$"):
        run_plain("time.sleep(100 * (1 - rank)); print('error: no data', file=sys.stderr); sys.exit(3)", tmp_path)


def test_a_failed_chief_has_said_so_itself(tmp_path, capfd):
    with pytest.raises(SystemExit) as ended:
        run_plain("time.sleep(100 * rank); print('error: no data', file=sys.stderr); sys.exit(3)", tmp_path)
    assert ended.value.code == 3 and capfd.readouterr().err == "error: no data\n"


def test_a_worker_that_misses_another_is_not_the_cause(tmp_path):
    """The chief ends first, since it misses the other, which takes its time to say what is wrong."""
    code = (
        "time.sleep(0.5 * rank); print('error:', ['gone', 'no data'][rank], file=sys.stderr); sys.exit([75, 3][rank])"
    )
    with pytest.raises(TfsageError, match=r"^worker 1 of 2 failed \(status 3\); its last words .*:\n  error: no data$"):
        run_plain(code, tmp_path)


def test_what_a_worker_says_of_a_stopped_chief_is_the_message(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS_TO_END", 0.2)
    code = "time.sleep(100 * (1 - rank)); print('error: worker 0 no longer answers', file=sys.stderr); sys.exit(75)"
    with pytest.raises(WorkerLost, match="^worker 0 no longer answers$"):
        run_plain(code, tmp_path)


def test_a_stopped_process_is_ended_too(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS_TO_END", 0.2)
    code = "os.kill(os.getpid(), signal.SIGSTOP) if rank else (time.sleep(0.5), sys.exit(4))"
    with pytest.raises(SystemExit):
        run_plain(code, tmp_path)
    assert not runs(int((tmp_path / "1").read_text()))


def test_control_c_stops_all_workers(tmp_path):
    code = f"from tests.training.plain_workers import run_plain; run_plain('time.sleep(100)', {str(tmp_path)!r})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True) as launcher:
        wait_until(lambda: all((tmp_path / rank).exists() and (tmp_path / rank).read_text() for rank in "01"), launcher)
        launcher.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in launcher.communicate()[1]
    assert not any(runs(int(file.read_text())) for file in tmp_path.iterdir())


def test_the_train_command_hands_its_options_to_the_workers(monkeypatch, tiny_config_file):
    started = []
    monkeypatch.setattr(workers, "run_workers", lambda *words: started.append(words))
    words = ["train", "--data", "prepared", "--config", str(tiny_config_file), "--run", "runs/a"]
    done = CliRunner().invoke(app, [*words, "--seed", "3", "--replicas", "2", "--workers", "4"])
    assert done.exit_code == 0, done.output
    ((count, command),) = started
    assert count == 4
    assert list(map(str, command)) == ["-m", "tfsage.cli", *words, "--seed", "3", "--replicas", "2"]


def test_two_workers_give_the_loss_and_gradients_of_one_device(tmp_path):
    run_workers(2, ["-m", "tests.training.workers_engine", tmp_path / "found.npz"])
    found, seen = np.load(tmp_path / "found.npz"), set()
    for dtype, form in {(dtype, form) for dtype, form, *_ in CASES}:
        expected = alone(dtype, form)
        for key in found.files:
            if key.startswith(f"{dtype} {form} "):
                value = expected[int(key.split()[-1])]
                tolerance = {"float64": 1e-12, "float32": 1e-5}[value.dtype.name]  # The temperature's is float32.
                np.testing.assert_allclose(found[key], value, rtol=0, atol=tolerance, err_msg=key)
                seen.add(key.rsplit(" ", 1)[0])
    assert len(seen) == len(CASES)


@pytest.mark.parametrize(("count", "victim", "sent"), [(3, 0, signal.SIGTERM), (2, 1, signal.SIGSTOP)])
def test_workers_notice_the_loss_of_another_within_a_minute(count, victim, sent):
    """Started one by one, as on several machines."""
    addresses = [f"127.0.0.1:{port}" for port in workers._free_ports(count)]
    processes = []
    try:
        for rank in range(count):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
            environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
            processes.append(start(["tests.training.all_reduce"], environment))
        assert [process.stdout.readline() for process in processes] == ["7\n"] * count
        processes[victim].send_signal(sent)
        begun = time.monotonic()
        for rank, process in enumerate(processes):
            if rank != victim:
                _, said = process.communicate(timeout=60)
                error, *more = [line for line in said.splitlines() if line.startswith("error: ")]
                assert error.startswith(f"error: worker {victim} ({addresses[victim]}) no longer answers") and not more
                assert process.returncode == 75
        assert time.monotonic() - begun < 60
        assert processes[victim].poll() == (None if sent == signal.SIGSTOP else -sent)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def train(prepared, tiny_config_file):
    def words(folder: Path) -> list:
        words = ["tfsage.cli", "train", "--data", prepared, "--config", tiny_config_file, "--run", folder]
        return [*words, "--workers", 2]

    return words


@pytest.fixture(scope="module")
def undisturbed(train, tmp_path_factory) -> Path:
    """A run of two workers, with the scratch files of all processes in a folder beside it."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "scratch").mkdir()
    process = start(train(folder / "run"), {**os.environ, "TMPDIR": str(folder / "scratch")})
    _, said = process.communicate()
    assert process.returncode == 0, said
    (folder / "said").write_text(said)
    return folder / "run"


def test_two_workers_train_as_one_device_does(undisturbed, trained_run):
    assert_close_weights(undisturbed, trained_run)


def test_only_the_chief_shows_progress_and_writes(undisturbed):
    assert (undisturbed.parent / "said").read_text().count("step 5 of 12") == 1
    assert steps_of_history(undisturbed) == [5, 10, 12]
    assert len(list((undisturbed / "tensorboard").iterdir())) == 1
    assert list((undisturbed.parent / "scratch").iterdir()) == []


@pytest.mark.timeout(900)
def test_a_killed_worker_and_a_killed_job_end_with_the_weights_of_an_undisturbed_run(train, undisturbed, tmp_path):
    folder = tmp_path / "run"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    def children(launcher: subprocess.Popen) -> list[int]:
        return [int(child) for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()]

    launcher = start(train(folder), environment)
    wait_until(lambda: last_step(folder), launcher)
    chief, other = children(launcher)
    os.kill(other, signal.SIGKILL)
    _, said = launcher.communicate()
    assert launcher.returncode == 75 and "error: worker 1 of 2 was killed by SIGKILL" in said, said
    assert not runs(chief)

    reached = last_step(folder)
    if reached < 12:
        launcher = start(train(folder), environment)
        wait_until(lambda: len(children(launcher)) == 2 and last_step(folder) > reached, launcher)
        orphans = children(launcher)
        launcher.kill()
        _, said = launcher.communicate()
        assert f"Going on from step {reached} of 12" in said
        wait_until(lambda: not any(runs(process) for process in orphans))

    launcher = start(train(folder), environment)
    _, said = launcher.communicate()
    assert launcher.returncode == 0, said
    assert_same_weights(folder, undisturbed)
