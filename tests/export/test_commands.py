"""The commands as a person meets them."""

import sys

import pytest
from typer.testing import CliRunner

from export import attach, catalog, index, publish, towers
from tests.conftest import command
from tests.export.fakes import write_products
from tfsage.launch import launch

APPS = {each.__name__.removeprefix("export."): each.app for each in (attach, catalog, index, publish, towers)}


@pytest.mark.parametrize("name", APPS)
def test_help_shows_an_example(name):
    shown = CliRunner().invoke(APPS[name], ["--help"])
    assert shown.exit_code == 0
    first = "--bundle bundles/CURRENT" if name == "attach" else "--run runs/demo"
    assert f"python -m export.{name} {first}" in shown.output


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("towers", ["--run", "nowhere"], "nowhere: not a run folder"),
        ("catalog", [], "which bundle? Give --run RUN, or --bundle DIR"),
        ("catalog", ["--bundle", "nowhere"], "which catalog? Give --products FILE"),
        ("catalog", ["--bundle", "nowhere", "--products", "x.parquet"], "nowhere: not a bundle"),
        ("attach", ["--bundle", "nowhere", "--tables", "x", "--out", "y"], "which column? Give --queries COLUMN"),
        (
            "attach",
            ["--bundle", "nowhere", "--tables", "x", "--out", "y", "--queries", "embedding"],
            "nowhere: not a bundle",
        ),
        ("index", ["--bundle", "nowhere"], "nowhere: not a bundle"),
        ("publish", ["--root", "bundles"], "which bundle? Give --run RUN, or --rollback SPACE_ID"),
        ("publish", ["--root", "bundles", "--run", "nowhere"], "not a bundle"),
        ("publish", ["--root", "bundles", "--rollback", "abc"], "no published bundle 'abc'"),
    ],
)
def test_a_mistake_is_one_message_and_status_1(name, arguments, message, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"export.{name}", *arguments])
    with pytest.raises(SystemExit) as ended:
        launch(APPS[name])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith("error: ") and message in said.err
    assert list(tmp_path.iterdir()) == []


def test_another_catalog_than_the_runs_own(towers, tmp_path):
    """As a user runs it: nothing of TensorFlow on the screen, and no run folder needed."""
    products = write_products(tmp_path / "products.parquet", 30)
    done = command(["export.catalog", "--bundle", towers.folder, "--products", products])
    assert done.stdout == ""
    assert done.stderr == f"30 products embedded in {towers.embeddings}\n"


def test_products_between_two_bundles(towers, tmp_path):
    products, out = write_products(tmp_path / "products.parquet", 30), tmp_path / "added.parquet"
    done = command(["export.catalog", "--bundle", towers.folder, "--products", products, "--out", out])
    assert done.stderr == f"30 products embedded in {out}\n" and out.exists() and not towers.parts()
