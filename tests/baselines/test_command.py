from pathlib import Path

from typer.testing import CliRunner

import tfsage.baselines
import tfsage.evaluation
from tfsage.cli import app


def test_the_command_makes_the_baselines_and_evaluates_again(monkeypatch):
    calls = []
    monkeypatch.setattr(tfsage.baselines, "write_baselines", lambda *given: calls.append(given))
    monkeypatch.setattr(tfsage.evaluation, "evaluate_run", lambda run, split: calls.append((run, split)))
    for words in ("", "--name tfrs --name sum_mlp --split dev --sentence-model m"):
        assert CliRunner().invoke(app, ["baselines", "--run", "r", *words.split()]).exit_code == 0
    assert calls == [
        (Path("r"), ("sum_mlp", "mlp_concat_mlp", "tfrs"), "test", None),
        (Path("r"), "test"),
        (Path("r"), ["tfrs", "sum_mlp"], "dev", Path("m")),
        (Path("r"), "dev"),
    ]
