"""Rows that are set aside are all there, with the reason, and nothing else is missing."""

import contextlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.test_columns import raw_strings
from tests.data.tiny import tiny_config, tiny_shop, write_tables
from tfsage.data.prepare import prepare
from tfsage.errors import TfsageError


@pytest.fixture(scope="module")
def spoiled():
    shop = tiny_shop()
    shop["products"]["product_id"][5] = "p1"
    shop["products"]["image_embeddings"][2] = [[float("nan")] * 4]
    shop["products"]["title"] = raw_strings([b"walnut desk", b"oak desk", b"caf\xe9", b"blue lamp", b"\xff", b"rug"])
    shop["engagements"]["action"][11] = "stare"
    shop["engagements"]["count"][11] = -1
    return {name: pa.table(columns) for name, columns in shop.items()}


@pytest.fixture(scope="module")
def out(spoiled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quarantine")
    write_tables(folder / "tables", spoiled)
    with contextlib.chdir(folder):
        prepare("tables", tiny_config(), "out", on_bad_rows="quarantine")
    return folder / "out"


def test_no_row_is_lost(spoiled, out):
    kept = pq.read_table(out / "products.parquet")
    aside = pq.read_table(out / "quarantine" / "products.parquet")
    assert kept["product_id"].to_pylist() == ["p0", "p1", "p3"]
    assert aside["product_id"].to_pylist() == ["p2", "p4", "p1"]
    engagements = pq.read_table(out / "quarantine" / "engagements.parquet")
    steps = json.loads((out / "report.json").read_text())["steps"]
    assert engagements.num_rows + steps["engagements"] == spoiled["engagements"].num_rows


def test_every_reason_is_given(out):
    aside = pq.read_table(out / "quarantine" / "products.parquet")
    assert aside["reason"].to_pylist() == [
        "image_embeddings: a vector holds NaN, infinity or null; title: bytes that are not UTF-8",
        "title: bytes that are not UTF-8",
        "product_id: a duplicate of an earlier row's key",
    ]
    engagements = pq.read_table(out / "quarantine" / "engagements.parquet").to_pylist()
    last = next(row for row in engagements if row["action"] == "stare")
    assert "action: unknown value" in last["reason"] and "count: not a number above 0" in last["reason"]


def test_bytes_that_are_not_utf8_are_kept_as_they_were(out):
    aside = pq.read_table(out / "quarantine" / "products.parquet")
    assert aside["title"].to_pylist() == [b"caf\xe9", b"\xff", b"rug"]


def test_the_report_counts_and_explains_them(out):
    report = json.loads((out / "report.json").read_text())
    assert report["tables"]["products"]["rows"] == 6 and report["tables"]["products"]["quarantined"] == 3
    assert {(problem["table"], problem["column"], problem["rows"]) for problem in report["problems"]} >= {
        ("products", "title", 2),
        ("products", "product_id", 1),
        ("engagements", "action", 1),
    }


def test_nothing_is_written_where_nothing_is_bad(out):
    assert sorted(path.name for path in (out / "quarantine").iterdir()) == ["engagements.parquet", "products.parquet"]


def test_a_table_without_any_good_row_stops(tmp_path):
    shop = tiny_shop()
    shop["pins"]["embedding"] = [[0.0]] * 3
    with pytest.raises(TfsageError, match="pins: no row can be used"):
        prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out", on_bad_rows="quarantine")
    assert not (tmp_path / "out").exists()
