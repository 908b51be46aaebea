"""The commands, as a data engineer types them."""

import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.data.tiny import tiny_config, tiny_shop, write_tables
from tfsage.cli import app
from tfsage.config import EnrichConfig, save_config


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    shop = tiny_shop()
    shop["boards"] = {"board_id": ["b"], "title": ["Offices"], "entity_id": ["p0"]}
    return write_tables(tmp_path_factory.mktemp("tables") / "shop", shop)


def told(*words, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["enrich", *map(str, words)])
    assert done.exit_code == status, done.output
    return done.output


def lists(folder, column: str) -> list:
    return pq.read_table(folder / "products.parquet")[column].to_pylist()


def test_boards(tables, tmp_path):
    assert "products: 1 of 6 have board_titles (16.7%)" in told("boards", "--tables", tables, "--out", tmp_path / "out")
    assert lists(tmp_path / "out", "board_titles")[0] == ["Offices"]


def test_queries_before_a_date_and_by_periods(tables, tmp_path):
    words = ["queries", "--tables", tables, "--before", "2024-01-02", "--state", tmp_path / "state"]
    told(*words, "--out", tmp_path / "out")
    assert lists(tmp_path / "out", "engaged_queries")[:2] == [["walnut desk"], []]
    told(*words, "--out", tmp_path / "again")
    assert lists(tmp_path / "again", "engaged_queries") == lists(tmp_path / "out", "engaged_queries")
    assert len(list((tmp_path / "state").glob("*.parquet"))) == 25, "730 days in periods of 30"


def test_the_numbers_come_from_the_config(tables, tmp_path):
    config = tiny_config().model_copy(update={"enrich": EnrichConfig(engaged_queries=1, action_weights={"save": 1})})
    save_config(config, tmp_path / "config.yaml")
    told("queries", "--tables", tables, "--config", tmp_path / "config.yaml", "--out", tmp_path / "out")
    assert [len(found) for found in lists(tmp_path / "out", "engaged_queries")] == [1, 1, 0, 0, 0, 0]


def test_captions_of_a_column(tables, tmp_path):
    told("captions", "--tables", tables, "--column", "title", "--out", tmp_path / "out")
    assert lists(tmp_path / "out", "captions")[:2] == [["walnut desk"], ["oak desk"]]
    about = json.loads((tmp_path / "out" / "enrichment.json").read_text())["captions"]
    assert about["from"] == "column title" and about["coverage"]["products"]["with"] == 5
