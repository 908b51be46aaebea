"""`tfsage service` passes its options on, checked before TensorFlow is loaded."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tfsage import cli
from tfsage.commands import serving


@pytest.fixture
def calls(monkeypatch) -> list:
    """What `run_service` was called with; settings are their positional arguments."""
    made = []
    monkeypatch.setattr(serving, "_require_published", lambda root: None)
    monkeypatch.setitem(sys.modules, "tfsage.retrieval.loaded", SimpleNamespace(Settings=lambda *given: given))
    record = SimpleNamespace(run_service=lambda *given, **named: made.append((given, named)))
    monkeypatch.setitem(sys.modules, "tfsage.retrieval.server", record)
    return made


def test_it_listens_on_loopback_and_starts_with_nothing_but_bundles(calls):
    result = CliRunner().invoke(cli.app, ["service", "--root", "bundles"])
    assert result.exit_code == 0, result.output
    settings = ((), None, 100_000, None, None, None, None, False, None, None)
    named = {"compare": None, "host": "127.0.0.1", "port": 8080}
    assert calls == [((Path("bundles"), settings), named)]


def test_every_option_arrives(calls):
    line = "--root b --host 0.0.0.0 --port 1 --address a:1 --address b:2 --redis redis://r --cache-size 5 --products p"
    line += " --data d --images i --pins q --hybrid --withdrawn w --added a --compare c"
    result = CliRunner().invoke(cli.app, ["service", *line.split()])
    assert result.exit_code == 0, result.output
    files = (Path(name) for name in "pdiq")
    settings = (("a:1", "b:2"), "redis://r", 5, *files, True, Path("w"), Path("a"))
    assert calls == [((Path("b"), settings), {"compare": Path("c"), "host": "0.0.0.0", "port": 1})]
