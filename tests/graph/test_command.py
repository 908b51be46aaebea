import datetime as dt
from pathlib import Path

from typer.testing import CliRunner

from tfsage.cli import app
from tfsage.graph import neighbours
from tfsage.graph.walks import Walks


def test_the_command_passes_on_what_it_is_told(monkeypatch):
    calls = []
    monkeypatch.setattr(neighbours, "write_neighbours", lambda *given: calls.append(given))
    line = "--count 5 --walkers 6 --steps 7 --restart 0.5 --seed 8 --before 2024-02-01"
    for words in ("", line):
        done = CliRunner().invoke(app, ["neighbours", "--tables", "t", "--out", "o", *words.split()])
        assert done.exit_code == 0, done.output
    assert calls == [
        (Path("t"), Path("o"), 50, Walks(), None, None),
        (Path("t"), Path("o"), 5, Walks(6, 7, 0.5, 8), None, dt.datetime(2024, 2, 1)),
    ]
