"""Leaks that are planted in features are found, each as what it is, and honest features are left alone."""

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from tests.data.tiny import FIRST_DAY, tiny_config, tiny_shop, write_tables
from tfsage.cli import app
from tfsage.data.enrichment.jobs import enrich_boards, enrich_queries
from tfsage.data.leakage import describe_leaks, read_audit
from tfsage.data.prepare import prepare
from tfsage.errors import TfsageError

EVERYTHING = FIRST_DAY + dt.timedelta(days=500)
CLEAN = {"leaks": 0, "unknown": 0}


@pytest.fixture
def shop() -> dict[str, dict]:
    """p1 is found by "rug" in the gap (day 75), p5 by "zyzzyva bench" in test (day 99); two boards are late."""
    shop = tiny_shop()
    late = {
        "surface": ["search"],
        "query_type": ["query"],
        "query_id": ["q2"],
        "entity_type": ["product"],
        "entity_id": ["p1"],
        "action": ["click"],
        "count": [1],
        "timestamp": [FIRST_DAY + dt.timedelta(days=75)],
    }
    shop["engagements"] = {name: [*values, *late[name]] for name, values in shop["engagements"].items()}
    shop["boards"] = {
        "board_id": ["b0", "b1", "b2", "b3"],
        "title": ["Dark wood", "For Later", "dark  WOOD", "For Later"],
        "entity_id": ["p0", "p0", "p0", "a"],
        "entity_type": ["product", "product", "product", "pin"],
        "timestamp": [FIRST_DAY + dt.timedelta(days=day) for day in (0, 80, 95, 98)],
    }
    return shop


def audit(tables, folder) -> dict[str, dict]:
    prepare(tables, tiny_config(), folder)
    return json.loads((folder / "report.json").read_text())["leakage"]


def counts(found: dict) -> dict:
    return {name: found[name] for name in ("leaks", "unknown")}


def test_features_from_before_the_split_are_clean(shop, tmp_path, capsys):
    tables = write_tables(tmp_path / "tables", shop)
    enrich_boards(tables, tmp_path / "boards")
    enrich_queries(tmp_path / "boards", tmp_path / "queries")
    found = audit(tmp_path / "queries", tmp_path / "data")
    assert list(found) == [
        "products.engaged_queries",
        "products.board_titles",
        "pins.engaged_queries",
        "pins.board_titles",
    ]
    assert all(counts(each) == CLEAN for each in found.values()) and describe_leaks(found) == []
    assert found["products.engaged_queries"]["entries"] == 5 and found["products.board_titles"]["entries"] == 1
    assert "know what evaluation asks" not in capsys.readouterr().err
    told = CliRunner().invoke(app, ["audit", "--data", str(tmp_path / "data")])
    assert told.exit_code == 0 and "No feature knows what evaluation asks" in told.output


def test_features_of_the_whole_log_leak_the_gap_and_the_test_queries(shop, tmp_path, capsys):
    tables = write_tables(tmp_path / "tables", shop)
    enrich_boards(tables, tmp_path / "boards", before=EVERYTHING)
    enrich_queries(tmp_path / "boards", tmp_path / "queries", before=EVERYTHING)
    found = audit(tmp_path / "queries", tmp_path / "data")
    queries, boards = found["products.engaged_queries"], found["products.board_titles"]
    assert counts(queries) == {"leaks": 2, "unknown": 0} and queries["entries"] == 7
    assert queries["examples"] == ["'rug' (products row 1)", "'zyzzyva bench' (products row 5)"]
    # A title that was known before the split and given again later is no leak.
    assert counts(boards) == {"leaks": 1, "unknown": 0} and boards["examples"] == ["'for later' (products row 0)"]
    assert counts(found["pins.board_titles"]) == {"leaks": 1, "unknown": 0}
    assert "products.engaged_queries: 2 of 7 entries come from after the training part" in capsys.readouterr().err
    told = CliRunner().invoke(app, ["audit", "--data", str(tmp_path / "data")])
    assert told.exit_code == 1 and "'zyzzyva bench' (products row 5)" in told.output


def test_one_planted_query_is_found_and_an_old_one_is_of_unknown_origin(shop, tmp_path):
    shop["products"]["engaged_queries"] = [["walnut desk"], ["from long ago"], [], [], ["Rug"], ["ZYZZYVA  bench"]]
    queries = audit(write_tables(tmp_path / "tables", shop), tmp_path / "data")["products.engaged_queries"]
    assert counts(queries) == {"leaks": 1, "unknown": 1}
    assert queries["examples"] == ["'zyzzyva bench' (products row 5)"]


def test_a_caption_that_is_the_query_of_a_test_pair_is_suspicious(shop, tmp_path):
    shop["products"]["captions"] = ["walnut desk", "zyzzyva bench", "a lamp", None, "a rug", "Zyzzyva Bench"]
    found = audit(write_tables(tmp_path / "tables", shop), tmp_path / "data")["products.captions"]
    assert (found["entries"], found["suspicious"]) == (5, 1)
    assert found["examples"] == ["'zyzzyva bench' (products row 5)"]
    assert "are a query that dev or test asks" in describe_leaks({"products.captions": found})[0]


def test_with_a_split_by_query_whatever_test_queries_engaged_with_is_a_leak(tmp_path):
    shop = tiny_shop()
    shop["engagements"]["split"] = ["train"] * 6 + ["test"] + ["train"] * 5
    tables = write_tables(tmp_path / "tables", shop)
    enrich_queries(tables, tmp_path / "clean")
    enrich_queries(tables, tmp_path / "leaky", before=EVERYTHING)
    clean = audit(tmp_path / "clean", tmp_path / "data")["products.engaged_queries"]
    leaky = audit(tmp_path / "leaky", tmp_path / "leaky_data")["products.engaged_queries"]
    assert counts(clean) == CLEAN and counts(leaky) == {"leaks": 1, "unknown": 0}


def test_a_folder_that_was_not_prepared_has_no_audit(tmp_path):
    with pytest.raises(TfsageError, match="no report of a prepared folder"):
        read_audit(tmp_path)
