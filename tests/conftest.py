"""What the tests share: the real datasets, and one tiny shop taken all the way to a published bundle."""

import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from tfsage.config import Config, load_config

ROOT = Path(__file__).parents[1]
pytest_plugins = ["tests.browser"]


def pytest_configure():
    # A shell that starts a job in the background lets it, and all that it starts, ignore Ctrl-C; some tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


TINY = {
    "text": {"unigrams": 2000, "bigrams": 2000, "character_ngrams": 1000},
    "towers": {
        "product": {
            "kind": "itemsage",
            "width": 32,
            "heads": 4,
            "feed_forward": 64,
            "head_hidden": 64,
            "dimension": 256,
            "hash_embedding": {"buckets": 500, "dimension": 64},
        },
        "text": {"kind": "ngram", "share_embedding": "product", "hidden": [64], "dimension": 256},
        "pin": {"kind": "frozen"},
    },
    "tasks": [
        {
            "name": "closeup_click",
            "surface": "closeup",
            "query_type": "pin",
            "actions": {"click": 1},
            "query_tower": "pin",
        },
        {"name": "search_click", "surface": "search", "actions": {"click": 1}, "query_tower": "text"},
        {"name": "catalog_text", "source": "catalog_text", "query_tower": "text", "spelling_noise": 0.3},
    ],
    "training": {
        "batch_size": 48,
        "phases": [{"steps": 12}],
        "steps_per_epoch": 5,
        "checkpoint_every": 3,
        "token_dropout": 0.1,
        "optimizer": {"warmup_steps": 2},
    },
    "evaluation": {"bootstrap": 1000, "distractors": 150},
    "export": {"recall_target": 0.9},
}
"""A config that trains in seconds; tests change what they are about."""


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """The folder of real datasets beside the repository, or None (the tests that want it say so and pass)."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        warnings.warn("../shared/data is missing: real-data checks are left out", stacklevel=1)
        return None
    return folder


@pytest.fixture(scope="session")
def tiny_config_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("config") / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return file


@pytest.fixture(scope="session")
def tiny_config(tiny_config_file) -> Config:
    return load_config(tiny_config_file)


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Path:
    """The tables of a synthetic shop of 300 products."""
    from tfsage.data.synthetic import write_shop

    folder = tmp_path_factory.mktemp("shop") / "tables"
    write_shop(folder, products=300, seed=1)
    return folder


@pytest.fixture(scope="session")
def prepared(shop, tiny_config, tmp_path_factory) -> Path:
    """The prepared folder of the tiny shop."""
    from tfsage.data.prepare import prepare

    folder = tmp_path_factory.mktemp("prepared") / "data"
    prepare(shop, tiny_config, folder)
    return folder


@pytest.fixture(scope="session")
def trained_run(prepared, tiny_config_file, tmp_path_factory) -> Path:
    """A run folder, trained by the command line in a process of its own."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    command(["tfsage.cli", "train", "--data", prepared, "--config", tiny_config_file, "--run", folder])
    return folder


@pytest.fixture(scope="session")
def bundles(trained_run, tmp_path_factory) -> Path:
    """A bundles root with the tiny run published in it."""
    root = tmp_path_factory.mktemp("published") / "bundles"
    for job in ("towers", "catalog", "index"):
        command([f"export.{job}", "--run", trained_run])
    command(["export.publish", "--run", trained_run, "--root", root])
    return root


def command(words: list, expect: int = 0) -> subprocess.CompletedProcess:
    """Runs one of the project's modules as a user would; fails with its output when the status is another."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == expect, f"{words}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
