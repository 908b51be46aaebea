"""Rows that cannot be used: each kind is named with table, column, rows and an example, and leaves no trace."""

import datetime as dt

import pyarrow.parquet as pq
import pytest

from tests.data.test_columns import raw_strings
from tests.data.tiny import tiny_config, tiny_shop, write_tables
from tfsage.data.prepare import prepare
from tfsage.errors import TfsageError

NAN = float("nan")


def put(table, column, row, value):
    def spoil(shop):
        shop[table][column][row] = value

    return spoil


def not_utf8(table, column, row):
    def spoil(shop):
        values = [value.encode() for value in shop[table][column]]
        values[row] = b"caf\xe9"
        shop[table][column] = raw_strings(values)

    return spoil


def judge(entity_id, grade):
    def spoil(shop):
        judged = {"query_type": "query", "query_id": "q0", "entity_type": "product", "entity_id": "p0", "grade": 0.0}
        other = judged | {"entity_id": entity_id, "grade": grade}
        shop["relevance"] = {name: [judged[name], other[name]] for name in judged}

    return spoil


BAD_ROWS = {
    "null id": (put("products", "product_id", 5, None), "products, column product_id: 1 row: null; for example None"),
    "empty id": (put("pins", "pin_id", 2, ""), "pins, column pin_id: 1 row: an empty id"),
    "duplicate id": (
        put("products", "product_id", 5, "p0"),
        "products, column product_id: 1 row: a duplicate of an earlier row's key; "
        "for example p0 (products.parquet row 5)",
    ),
    "NaN in an embedding": (
        put("products", "image_embeddings", 2, [[1.0, NAN, 0.0, 0.0]]),
        "products, column image_embeddings: 1 row: a vector holds NaN, infinity or null; for example p2",
    ),
    "infinity in an embedding": (
        put("pins", "embedding", 1, [float("inf"), 0.0, 0.0, 0.0]),
        "pins, column embedding: 1 row: a vector holds NaN, infinity or null; for example b (pins.parquet row 1)",
    ),
    "ragged embedding": (
        put("products", "image_embeddings", 2, [[1.0, 0.0, 0.0, 0.0], [1.0]]),
        "products, column image_embeddings: 1 row: a vector is not of length 4; for example p2",
    ),
    "unknown product": (
        put("engagements", "entity_id", 3, "p77"),
        "engagements, column entity_id: 1 row: a product id that no row of products has; for example p77",
    ),
    "unknown pin": (
        put("engagements", "query_id", 11, "z"),
        "engagements, column query_id: 1 row: a pin id that no row of pins has; for example z",
    ),
    "unknown query": (
        put("engagements", "query_id", 0, "q9"),
        "engagements, column query_id: 1 row: a query id that no row of queries has; for example q9",
    ),
    "unknown action": (
        put("engagements", "action", 4, "clik"),
        "engagements, column action: 1 row: unknown value (known: click, save, long_click, add_to_cart, checkout); "
        "for example clik (engagements.parquet row 4)",
    ),
    "unknown surface": (put("engagements", "surface", 4, "mall"), "column surface: 1 row: unknown value (known: home"),
    "unknown query type": (put("engagements", "query_type", 4, "word"), "column query_type: 1 row: unknown value"),
    "negative count": (
        put("engagements", "count", 2, -3),
        "engagements, column count: 1 row: not a number above 0; for example -3",
    ),
    "negative grade": (
        judge("p1", -0.5),
        "relevance, column grade: 1 row: not a number from 0 upwards; for example -0.5 (relevance.parquet row 1)",
    ),
    "grade of an unknown product": (
        judge("p77", 1.0),
        "relevance, column entity_id: 1 row: a product id that no row of products has; for example p77",
    ),
    "null count": (put("engagements", "count", 2, None), "engagements, column count: 1 row: null"),
    "null timestamp": (
        put("engagements", "timestamp", 2, None),
        "engagements, column timestamp: 1 row: null, but the split is by time",
    ),
    "blank query": (
        put("queries", "text", 2, "  "),
        "queries, column text: 1 row: the text of a query is missing or blank; for example q2",
    ),
    "text that is not UTF-8": (
        not_utf8("queries", "text", 1),
        "queries, column text: 1 row: bytes that are not UTF-8; for example q1",
    ),
    "id that is not UTF-8": (
        not_utf8("engagements", "entity_id", 1),
        "engagements, column entity_id: 1 row: bytes that are not UTF-8; for example caf\\xe9",
    ),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_stops_everything(tmp_path, kind):
    spoil, expected = BAD_ROWS[kind]
    shop = tiny_shop()
    spoil(shop)
    with pytest.raises(TfsageError) as error:
        prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")
    assert expected in str(error.value)
    assert "--on-bad-rows quarantine" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


def test_one_error_names_every_problem_with_at_most_five_examples(tmp_path):
    shop = tiny_shop()
    shop["engagements"]["count"] = [0] * 8 + [1] * 4
    shop["engagements"]["action"][9] = "stare"
    shop["products"]["product_id"][5] = None
    with pytest.raises(TfsageError) as error:
        prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")
    message = str(error.value)
    counts = next(line for line in message.splitlines() if "column count" in line)
    assert "8 rows" in counts and counts.count("engagements.parquet row") == 5
    assert "stare" in message and "products, column product_id" in message


def test_null_timestamps_do_not_matter_to_a_split_by_query(tmp_path):
    shop = tiny_shop()
    shop["engagements"]["timestamp"][2] = None
    by_query = tiny_config(split={"by": "query", "dev_share": 0.0, "test_share": 0.0})
    prepare(write_tables(tmp_path / "tables", shop), by_query, tmp_path / "out")


def test_the_dimension_in_the_config_decides(tmp_path):
    shop = tiny_shop()
    shop["pins"]["embedding"] = [[1.0, 2.0, 3.0]] * 3
    with pytest.raises(TfsageError, match="pins, column embedding: 3 rows: a vector is not of length 4"):
        prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")


def test_exclusions_and_boards_are_checked_too(tmp_path):
    shop = tiny_shop()
    shop["exclusions"] = {"query_type": ["pin"], "query_id": ["a"], "entity_type": ["product"], "entity_id": ["p9"]}
    shop["boards"] = {"board_id": ["x", "x"], "title": ["Desks", None], "entity_id": ["p0", "nobody"]}
    with pytest.raises(TfsageError) as error:
        prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")
    assert "exclusions, column entity_id: 1 row: a product id that no row of products has; for example p9" in str(
        error.value
    )
    assert "boards, column entity_id: 1 row: an id that neither products nor pins have; for example nobody" in str(
        error.value
    )


def test_a_row_that_names_a_bad_row_is_bad(tmp_path):
    shop = tiny_shop()
    shop["products"]["image_embeddings"][0] = [[NAN] * 4]
    out = tmp_path / "out"
    prepare(write_tables(tmp_path / "tables", shop), tiny_config(), out, on_bad_rows="quarantine")
    reasons = pq.read_table(out / "quarantine" / "engagements.parquet")["reason"].to_pylist()
    assert reasons == ["entity_id: a product id that no row of products has"] * 3


def test_bad_rows_do_not_move_the_dates(tmp_path):
    shop = tiny_shop()
    shop["engagements"]["timestamp"][6] = dt.datetime(2100, 1, 1)
    shop["engagements"]["entity_id"][6] = "p77"
    out = tmp_path / "out"
    config = tiny_config(split={"by": "time", "gap_days": 15, "window_days": 7})
    prepare(write_tables(tmp_path / "tables", shop), config, out, on_bad_rows="quarantine")
    assert '"last": "2024-04-02 00:00:00"' in (out / "manifest.json").read_text()
