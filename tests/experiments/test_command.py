import sys
from pathlib import Path
from types import SimpleNamespace

from typer.testing import CliRunner

from tfsage.cli import app
from tfsage.errors import TfsageError


def test_the_command_passes_on_what_it_is_told(monkeypatch):
    calls = []
    module = SimpleNamespace(run_experiment=lambda *given: calls.append(given))
    monkeypatch.setitem(sys.modules, "tfsage.experiments", module)
    line = "experiment losses/home_depot --out o --source s --seeds 2 --variant a --variant b --split test --smoke"
    for words in ("experiment losses/shop --out o", f"{line} --reference a"):
        assert CliRunner().invoke(app, words.split()).exit_code == 0
    assert calls == [
        ("losses/shop", Path("o"), None, None, (), None, "dev", "default"),
        ("losses/home_depot", Path("o"), Path("s"), 2, ["a", "b"], "a", "test", "smoke"),
    ]


def test_two_sizes_are_refused():
    done = CliRunner().invoke(app, ["experiment", "losses/shop", "--out", "o", "--smoke", "--full"])
    assert isinstance(done.exception, TfsageError) and "--smoke and --full" in str(done.exception)
