"""The command line: what each command calls, how it fails, and an answered query through a served bundle."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import tfsage
from tests.serving.models import TITLES, write_bundle
from tfsage.cli import app
from tfsage.serving.flags import Flags

COMMANDS = (
    "synth",
    "import",
    "prepare",
    "audit",
    "train",
    "evaluate",
    "compare",
    "doctor",
    "probe",
    "experiment",
    "serve",
    "search",
    "service",
)
CONFIG = {
    "towers": {"product": {"kind": "itemsage"}, "text": {"kind": "ngram"}},
    "tasks": [{"name": "t", "source": "catalog_text", "query_tower": "text"}],
}


def tfsage_command(*words: str | bytes | Path, expect: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, "-m", "tfsage.cli", *words], capture_output=True, text=True)
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "bundles"
    write_bundle(folder, seed=1)
    return folder


@pytest.fixture
def config_file(tmp_path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    return file


@pytest.fixture
def calls(monkeypatch) -> list:
    """Replaces what the commands call; gives (function, positional arguments, named arguments) of every call."""
    made = []

    def stand_in(module: str, function: str) -> None:
        def record(*positional, **named):
            made.append((function, positional, named))

        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{function: record}))

    stand_in("tfsage.data.synthetic", "write_shop")
    stand_in("tfsage.data.importers", "import_dataset")
    stand_in("tfsage.data.prepare", "prepare")
    stand_in("tfsage.training", "train")
    stand_in("tfsage.evaluation", "evaluate_run")
    stand_in("tfsage.serving.server", "serve")
    return made


def test_help_is_instant_because_tensorflow_is_not_imported():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from tfsage.cli import app\n"
        f"for words in [['--help'], ['--version'], *([name, '--help'] for name in {COMMANDS})]:\n"
        "    result = CliRunner().invoke(app, words)\n"
        "    assert result.exit_code == 0, result.output\n"
        "slow = {'tensorflow', 'numpy', 'pyarrow', 'duckdb', 'ibis', 'grpc', 'scann'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version():
    assert tfsage_command("--version").stdout == f"tfsage {tfsage.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name):
    assert f"Example: tfsage {name} " in CliRunner().invoke(app, [name, "--help"]).output.replace("\n", " ")


@pytest.mark.parametrize("name", ["boards", "queries", "captions"])
def test_every_enrichment_shows_an_example(name):
    told = CliRunner().invoke(app, ["enrich", name, "--help"]).output.replace("\n", " ")
    assert f"Example: tfsage enrich {name} " in told


@pytest.mark.parametrize(
    ("line", "function", "positional", "named"),
    [
        (
            "synth --products 20 --out shop --seed 3",
            "write_shop",
            (Path("shop"),),
            {"products": 20, "seed": 3, "days": 90},
        ),
        ("import dept --source from --out to", "import_dataset", ("dept", Path("from"), Path("to")), {}),
        ("evaluate --run runs/a", "evaluate_run", (Path("runs/a"),), {"split": "test", "bundle": None}),
        ("evaluate --run runs/a --split dev", "evaluate_run", (Path("runs/a"),), {"split": "dev", "bundle": None}),
    ],
)
def test_commands_call_the_library(line, function, positional, named, calls):
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 0, result.output
    assert calls == [(function, positional, named)]


def test_serve_listens_on_loopback_unless_told_otherwise(calls, root):
    CliRunner().invoke(app, ["serve", "--root", str(root)])
    CliRunner().invoke(app, ["serve", "--root", str(root), "--host", "0.0.0.0", "--grpc-port", "1", "--rest-port", "2"])
    assert calls == [
        ("serve", (root, Flags()), {"grpc_port": 8500, "rest_port": 8501, "host": "127.0.0.1"}),
        ("serve", (root, Flags()), {"grpc_port": 1, "rest_port": 2, "host": "0.0.0.0"}),
    ]


def test_serve_has_the_flags_of_tensorflow_serving_in_both_spellings(calls):
    words = "--model_config_file=m --port=1 --rest_api_port 2 --enable_batching --batching-parameters-file b"
    result = CliRunner().invoke(app, ["serve", *words.split(), "--monitoring_config_file=a_b"])
    assert result.exit_code == 0, result.output
    ((_, (root, flags), named),) = calls
    assert (root, named["grpc_port"], named["rest_port"]) == (None, 1, 2)
    assert flags == Flags(
        model_config_file=Path("m"),
        enable_batching=True,
        batching_parameters_file=Path("b"),
        monitoring_config_file=Path("a_b"),
    )


def test_commands_with_a_config_pass_it_checked(calls, config_file):
    line = ["--config", str(config_file)]
    CliRunner().invoke(app, ["prepare", "--tables", "shop", "--out", "out", "--on-bad-rows", "quarantine", *line])
    CliRunner().invoke(app, ["train", "--data", "out", "--run", "runs/a", *line])
    (prepare, (tables, config, out), named), (train, (data, same, run), _) = calls
    assert (prepare, tables, out, named) == ("prepare", Path("shop"), Path("out"), {"on_bad_rows": "quarantine"})
    assert (train, data, run) == ("train", Path("out"), Path("runs/a"))
    assert config == same == tfsage.load_config(config_file)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", ""], "error: the query is empty; give the words to search for"),
        (["search", "x" * 100_000], "error: the query has 100,000 characters, at most 2,000 are allowed; shorten it"),
        (
            ["search", b"desk \xff\xfe"],
            "error: the query is not UTF-8 text: byte 0xff at character 5; set your terminal or script to UTF-8",
        ),
        (["search", "desk"], "error: nowhere: no bundle is published here (no CURRENT); python -m export.publish"),
        (["serve"], "error: nowhere: no bundle is published here (no CURRENT); python -m export.publish"),
    ],
    ids=["empty", "100,000 characters", "not utf-8", "search of nothing", "serve of nothing"],
)
def test_bad_input_is_one_message_and_status_1(words, message):
    done = tfsage_command(*words, "--root", "nowhere", expect=1)
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def test_a_config_with_an_unknown_key_is_refused_before_anything_starts(config_file, tmp_path):
    config_file.write_text(yaml.safe_dump({**CONFIG, "loss": {"temprature": 0.1}}))
    words = ("--config", config_file)
    train = tfsage_command("train", "--data", tmp_path, "--run", tmp_path / "run", *words, expect=1)
    prepare = tfsage_command("prepare", "--tables", tmp_path, "--out", tmp_path / "out", *words, expect=1)
    for done in (train, prepare):
        assert "loss.temprature: unknown key; remove it or check its spelling" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]


@pytest.mark.parametrize(
    "words", [["serach"], ["synth", "--products", "0", "--out", "shop"], ["search", "--root", "x"]]
)
def test_wrong_usage_has_its_own_status(words):
    assert CliRunner().invoke(app, words).exit_code == 2


def test_a_served_bundle_answers_searches_without_a_word_of_noise(root):
    command = [sys.executable, "-m", "tfsage.cli", "serve", "--root", root, "--grpc-port", "0", "--rest-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as serving:
        said = [serving.stderr.readline() for _ in range(4)]
        assert said[0].startswith("serving product_tower, query_tower of bundle "), said
        assert said[0].endswith(" (a development server)\n")
        address = re.fullmatch(r"  gRPC  (127\.0\.0\.1:\d+)\n", said[1])[1]
        assert re.fullmatch(r"  REST  http://127\.0\.0\.1:\d+/v1/models/query_tower\n", said[2])

        words = ("search", "walnut desk", "--root", str(root), "--address", address)
        as_json = tfsage_command(*words, "-k", "3", "--json")
        as_text = CliRunner().invoke(app, words)
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 130
        assert (serving.stdout.read(), serving.stderr.read()) == ("", "")

    hits = json.loads(as_json.stdout)
    assert [set(hit) for hit in hits] == [{"product_id", "title", "score"}] * 3
    assert (hits[0]["product_id"], hits[0]["title"]) == ("p0", "walnut desk")
    assert np.all(np.diff([hit["score"] for hit in hits]) <= 0)
    lines = as_text.stdout.splitlines()
    assert len(lines) == len(TITLES)
    assert lines[0].split() == ["1", f"{hits[0]['score']:.4f}", "p0", "walnut", "desk"]
    assert (as_json.stderr, as_text.stderr) == ("", "")
