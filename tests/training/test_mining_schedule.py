"""Hard negatives are mined when they are needed, once, and survive whatever happens to the run."""

import json
import re
import signal
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.conftest import TINY, command
from tests.training.runs import assert_same_weights, last_step, start, wait_until
from tfsage.config import Config
from tfsage.data.hard_negatives import MinedNegatives
from tfsage.errors import TfsageError
from tfsage.training import shared_folder
from tfsage.training.cluster import Cluster
from tfsage.training.mining import schedule
from tfsage.training.mining.schedule import HardNegativeMining

SECTION = {"per_pair": 2, "window": [1, 60], "margin": 1.0}


class Miner:
    """Finds other negatives every time."""

    asked = []

    def __init__(self, model, data):
        pass

    def __call__(self, first, last, scratch):
        self.asked.append((first, last))
        products = np.full((last - first, 1), len(self.asked))
        summary = {"pairs": 10.0, "without": 0.25, "similarity": 0.5, "positive_similarity": 0.7}
        return MinedNegatives(first, {"product": np.ones(last - first, int)}, {"product": products}, summary)


@pytest.fixture
def mining(tmp_path, monkeypatch):
    """A new process each time it is called; prepares an epoch and says which negative its step has."""
    monkeypatch.setattr(schedule, "HardNegativeMiner", Miner)
    Miner.asked = []

    def begin(section, cluster=None, **training):
        config = Config.model_validate(
            {**TINY, "loss": {"hard_negatives": section}, "training": {**TINY["training"], **training}}
        )
        model = SimpleNamespace(
            batches=SimpleNamespace(hard_negatives=None), distribute_strategy=tf.distribute.get_strategy()
        )
        started = HardNegativeMining(SimpleNamespace(folder=tmp_path, config=config, data=None), model, cluster)

        def prepare(step, end):
            started.prepare(step, end)
            mined = model.batches.hard_negatives
            return mined and mined.of_rows("product", step, np.arange(1))[1].tolist()

        return prepare

    return begin


def files(folder):
    return sorted(int(file.stem) for file in (folder / "hard_negatives").iterdir())


def test_nothing_is_mined_when_nothing_is_asked_for(mining, tmp_path):
    assert mining(None)(0, 5) is None
    assert not Miner.asked and not list(tmp_path.iterdir())


def test_mining_begins_in_the_epoch_that_reaches_start(mining, tmp_path):
    prepare = mining({**SECTION, "start": 7})
    assert prepare(0, 5) is None and not list(tmp_path.iterdir())
    prepare(5, 10)
    prepare(10, 12)
    assert Miner.asked == [(7, 10), (10, 12)]


def test_a_start_at_the_end_of_an_epoch_is_of_the_next(mining):
    prepare = mining({**SECTION, "start": 5})
    assert prepare(0, 5) is None
    assert prepare(5, 10) == [1] and Miner.asked == [(5, 10)]


@pytest.mark.parametrize("step", [5, 8])
def test_a_resumed_run_reads_what_was_mined_before(mining, step, capsys):
    assert mining(SECTION)(5, 10) == [1]
    assert mining(SECTION)(step, 10) == [1]
    assert Miner.asked == [(5, 10)]
    said = " ".join(capsys.readouterr().err.split())
    assert said == (
        "Hard negatives for steps 5 to 9: 10 pairs, 25.0% of them without any; "
        "mean similarity to the queries 0.500, of their positives 0.700"
    )


def test_a_run_that_is_killed_while_mining_mines_anew(mining, monkeypatch, tmp_path):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(schedule.MinedNegatives, "save", killed)
        mining(SECTION)(5, 10)
    assert mining(SECTION)(5, 10) == [2] and files(tmp_path) == [5]


def test_files_are_removed_once_training_cannot_go_back_to_them(mining, tmp_path):
    prepare = mining(SECTION, checkpoint_every=12)
    for step, kept in ((0, [0]), (5, [0, 5]), (10, [0, 5, 10]), (15, [10, 15]), (20, [10, 15, 20]), (25, [20, 25])):
        prepare(step, step + 5)
        assert files(tmp_path) == kept
    # Killed, and back at the last checkpoint: what comes after it will be mined with the model of then.
    mining(SECTION, checkpoint_every=12)(24, 25)
    assert files(tmp_path) == [20]
    assert len(Miner.asked) == 6


def test_a_missing_file_is_replaced_and_the_difference_is_told(mining, tmp_path, capsys):
    mining(SECTION)(5, 10)
    (tmp_path / "hard_negatives" / "5.npz").unlink()
    assert mining(SECTION)(7, 10) == [2]
    said = " ".join(capsys.readouterr().err.split())
    assert "of the epoch from step 5 are gone; new ones are mined" in said and "will differ" in said


def test_other_workers_wait_for_the_file_of_the_chief(mining, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(schedule, "value_of_chief", lambda *args: asked.append(args[1:]))
    monkeypatch.setattr(shared_folder, "_SECONDS_TO_SEE", 0.0)
    chief, other = (Cluster(("a:1", "b:1"), rank) for rank in (0, 1))
    with pytest.raises(TfsageError, match="5.npz: this worker does not see what the chief has written"):
        mining(SECTION, other)(5, 10)
    assert mining(SECTION, chief)(5, 10) == [1]
    assert mining(SECTION, other)(5, 10) == [1]
    assert Miner.asked == [(5, 10)] and asked == [(other, 5), (chief, 5), (other, 5)]


def test_without_any_hard_negative_the_remedy_is_told(mining, monkeypatch, capsys):
    nothing = MinedNegatives(0, {}, {}, {"pairs": 10.0, "without": 1.0})
    monkeypatch.setattr(Miner, "__call__", lambda *_: nothing)
    mining(SECTION)(0, 5)
    said = " ".join(capsys.readouterr().err.split())
    assert "none for any of 10 pairs" in said and "take later ranks" in said


@pytest.fixture(scope="module")
def train(prepared, tmp_path_factory):
    config = {**TINY, "loss": {"hard_negatives": {**SECTION, "start": 3, "ramp": 4}}}
    file = tmp_path_factory.mktemp("mining") / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return lambda folder: ["tfsage.cli", "train", "--data", prepared, "--config", file, "--run", folder]


@pytest.fixture(scope="module")
def undisturbed(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mining") / "run"
    command(train(folder))
    return folder


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(train, undisturbed, tmp_path):
    run = tmp_path / "killed"
    process = start(train(run))
    wait_until(lambda: last_step(run) >= 6, process)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL and "Hard negatives for steps 5 to 9" in said
    before = (run / "hard_negatives" / "5.npz").read_bytes()
    said = command(train(run)).stderr
    reached = int(re.search("Going on from step ([0-9]+)", said)[1])
    assert ("Hard negatives for steps 5 to 9" in said) == (reached == 10)
    assert_same_weights(run, undisturbed)
    assert (run / "hard_negatives" / "5.npz").read_bytes() == before or reached > 9
    with (
        zipfile.ZipFile(run / "hard_negatives" / "10.npz") as file,
        zipfile.ZipFile(undisturbed / "hard_negatives" / "10.npz") as other,
    ):
        assert {name: file.read(name) for name in file.namelist()} == {n: other.read(n) for n in other.namelist()}


def test_hard_negatives_make_a_difference(undisturbed, trained_run):
    with pytest.raises(AssertionError):
        assert_same_weights(undisturbed, trained_run)


def test_the_history_says_what_was_mined(undisturbed):
    lines = [json.loads(line) for line in (undisturbed / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 12]
    assert [line["hard_negatives"]["pairs"] for line in lines] == [2 * 48, 5 * 48, 2 * 48]
    for line in lines:
        told = line["hard_negatives"]
        assert 0 < told["without"] < 1 and -1 < told["similarity"] < told["positive_similarity"] < 1
    mined = MinedNegatives.load(undisturbed / "hard_negatives" / "10.npz")
    assert lines[-1]["hard_negatives"] == mined.summary and not (undisturbed / "hard_negatives" / ".index").exists()
