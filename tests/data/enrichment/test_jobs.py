"""The jobs over whole tables: what comes out is valid for `prepare`, and knows nothing of the future."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.tiny import FIRST_DAY, tiny_config, tiny_shop, write_tables
from tfsage.config import EnrichConfig, PrepareConfig, SplitConfig
from tfsage.data.enrichment.captions import ColumnCaptions
from tfsage.data.enrichment.jobs import enrich_boards, enrich_captions, enrich_queries
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.files import checksums

EVERYTHING = FIRST_DAY + dt.timedelta(days=700)


@pytest.fixture
def shop() -> dict[str, dict]:
    shop = tiny_shop()
    shop["boards"] = {
        "board_id": ["b0", "b0", "b1", "b2", "b3"],
        "title": ["Dark wood", "Dark wood", "Office", "Red things", "Later"],
        "entity_id": ["p0", "a", "p0", "p2", "p0"],
        "entity_type": ["product", "pin", "product", "product", "product"],
        "timestamp": [FIRST_DAY + dt.timedelta(days=day) for day in (0, 1, 2, 3, 95)],
    }
    return shop


@pytest.fixture
def tables(shop, tmp_path):
    return write_tables(tmp_path / "tables", shop)


def column(folder, name: str, table: str = "products", key: str = "product_id") -> dict[str, list[str]]:
    read = pq.read_table(folder / f"{table}.parquet")
    return dict(zip(read[key].to_pylist(), read[name].to_pylist(), strict=True))


def test_engaged_queries_of_everything(tables, tmp_path):
    coverage = enrich_queries(tables, tmp_path / "out", before=EVERYTHING)
    assert column(tmp_path / "out", "engaged_queries") == {
        "p0": ["walnut desk"],
        "p1": ["walnut desk"],
        "p2": ["a lamp in red"],
        "p3": ["a lamp in red"],
        "p4": ["rug"],
        "p5": ["zyzzyva bench"],
    }
    assert column(tmp_path / "out", "engaged_queries", "pins", "pin_id") == {"a": [], "b": [], "c": []}
    assert coverage["products"] == {"rows": 6, "with": 6, "coverage": 1.0}
    assert coverage["pins"] == {"rows": 3, "with": 0, "coverage": 0.0}


def test_features_know_what_was_strictly_before_the_split_and_no_more(tables, tmp_path):
    enrich_queries(tables, tmp_path / "queries")
    known = column(tmp_path / "queries", "engaged_queries")
    # The log ends on day 99: 7 days of test, 7 of dev and 15 of gap leave 70 for training.
    assert known["p5"] == [] and known["p0"] == ["walnut desk"]
    enrich_boards(tables, tmp_path / "boards")
    assert column(tmp_path / "boards", "board_titles")["p0"] == ["Dark wood", "Office"]
    enrich_boards(tables, tmp_path / "all", before=EVERYTHING)
    assert set(column(tmp_path / "all", "board_titles")["p0"]) == {"Dark wood", "Office", "Later"}
    edge = FIRST_DAY + dt.timedelta(days=4)
    enrich_queries(tables, tmp_path / "edge", before=edge)
    assert column(tmp_path / "edge", "engaged_queries")["p4"] == [], "the moment itself is not before it"


def test_boards_without_dates_all_count_and_the_job_says_so(shop, tmp_path, capsys):
    del shop["boards"]["timestamp"], shop["boards"]["entity_type"]
    enrich_boards(write_tables(tmp_path / "tables", shop), tmp_path / "out")
    assert set(column(tmp_path / "out", "board_titles")["p0"]) == {"Dark wood", "Office", "Later"}
    assert column(tmp_path / "out", "board_titles", "pins", "pin_id")["a"] == ["Dark wood"]
    assert "boards has no column timestamp" in capsys.readouterr().err


def test_a_window_forgets(tables, tmp_path):
    enrich_queries(tables, tmp_path / "out", EnrichConfig(window_days=610), before=EVERYTHING)
    assert {id for id, found in column(tmp_path / "out", "engaged_queries").items() if found} == {"p5"}


def test_months_give_what_a_full_count_gives(tables, tmp_path):
    for day in (2, 5, 40, 100):
        before = FIRST_DAY + dt.timedelta(days=day)
        enrich_queries(tables, tmp_path / f"merged{day}", before=before, state=tmp_path / "state")
        enrich_queries(tables, tmp_path / f"full{day}", before=before)
        for table in ("products", "pins"):
            merged, full = (
                pq.read_table(tmp_path / f"{kind}{day}" / f"{table}.parquet") for kind in ("merged", "full")
            )
            assert merged.equals(full)
    with pytest.raises(TfsageError, match="counts engagements up to"):
        enrich_queries(tables, tmp_path / "past", before=FIRST_DAY + dt.timedelta(days=3), state=tmp_path / "state")


def test_a_split_by_query_trains_on_some_queries_and_features_know_those_alone(shop, tmp_path):
    count = 60
    shop["queries"] = {"query_id": [f"q{row}" for row in range(count)], "text": [f"text {row}" for row in range(count)]}
    shop["engagements"] = {
        "surface": ["search"] * count,
        "query_type": ["query"] * count,
        "query_id": shop["queries"]["query_id"],
        "entity_type": ["product"] * count,
        "entity_id": [f"p{row % 6}" for row in range(count)],
        "action": ["click"] * count,
    }
    tables = write_tables(tmp_path / "tables", shop)
    config = tiny_config(split={"by": "query", "dev_share": 0.2, "test_share": 0.2})
    enrich_queries(tables, tmp_path / "out", prepare=config.prepare)
    found = {text for texts in column(tmp_path / "out", "engaged_queries").values() for text in texts}
    prepare(tmp_path / "out", config, tmp_path / "data")
    data = PreparedData(tmp_path / "data")
    trained = data.pairs("train", "search", "query", {"click": 1.0}).query
    assert found == set(data.queries("query").texts.gather(np.unique(trained))) and 20 < len(found) < 50


def test_all_columns_at_once_are_text_fields_of_products_and_pins(tables, shop, tmp_path):
    enrich_boards(tables, tmp_path / "boards")
    enrich_queries(tmp_path / "boards", tmp_path / "queries")
    enrich_captions(tmp_path / "queries", tmp_path / "captions", ColumnCaptions("board_titles"))
    said = json.loads((tmp_path / "captions" / "enrichment.json").read_text())
    assert list(said) == ["board_titles", "engaged_queries", "captions"]
    assert said["captions"]["coverage"]["products"]["with"] == said["board_titles"]["coverage"]["products"]["with"] == 2
    assert said["engaged_queries"]["before"] == str(FIRST_DAY + dt.timedelta(days=70))
    prepare(tmp_path / "captions", tiny_config(), tmp_path / "data")
    data = PreparedData(tmp_path / "data")
    assert data.text_fields == ("title", "colors", "board_titles", "engaged_queries", "captions")
    assert data.entity("pin").text_fields == ("board_titles", "engaged_queries", "captions")
    for name in ("engagements", "queries", "boards"):
        assert checksums(tmp_path / "captions")[f"{name}.parquet"] == checksums(tables)[f"{name}.parquet"]


def test_tables_in_several_files_keep_their_files_and_rows(shop, tmp_path):
    products = pa.table(shop.pop("products"))
    tables = write_tables(tmp_path / "tables", shop)
    for part, (first, count) in enumerate(((4, 2), (0, 1), (1, 3))):
        write_tables(tables / "products", {f"part{part}": products.slice(first, count)})
    enrich_queries(tables, tmp_path / "out", before=EVERYTHING)
    parts = [pq.read_table(tmp_path / "out" / "products" / f"part{part}.parquet") for part in range(3)]
    assert [part["product_id"].to_pylist() for part in parts] == [["p4", "p5"], ["p0"], ["p1", "p2", "p3"]]
    assert [part["engaged_queries"].to_pylist() for part in parts] == [
        [["rug"], ["zyzzyva bench"]],
        [["walnut desk"]],
        [["walnut desk"], ["a lamp in red"], ["a lamp in red"]],
    ]


def test_more_rows_than_a_batch_keep_their_lists(shop, tmp_path):
    count = 9000
    shop["products"] = {"product_id": [f"p{row}" for row in range(count)]}
    shop["engagements"] = {name: values[:8] for name, values in shop["engagements"].items()}
    rows = [0, 4095, 4096, 5000, 8999, 8998, 8191, 8192]
    shop["engagements"]["entity_id"] = [f"p{row}" for row in rows]
    tables = write_tables(tmp_path / "tables", shop)
    enrich_queries(tables, tmp_path / "out", before=EVERYTHING)
    found = column(tmp_path / "out", "engaged_queries")
    assert {id for id, texts in found.items() if texts} == {f"p{row}" for row in rows}
    assert found["p8192"] == ["walnut desk"] and found["p8998"] == ["rug"]


def test_captions_of_a_column_that_prepare_does_not_know(shop, tmp_path):
    shop["products"]["alt_text"] = ["a desk", " ", None, "", "a rug ", "a bench"]
    shop["pins"]["alt_text"] = [["a pin", None, " "], [], ["two", "words"]]
    tables = write_tables(tmp_path / "tables", shop)
    coverage = enrich_captions(tables, tmp_path / "out", ColumnCaptions("alt_text"))
    products = pq.read_table(tmp_path / "out" / "products.parquet")
    assert products["captions"].to_pylist() == [["a desk"], [], [], [], ["a rug"], ["a bench"]]
    assert column(tmp_path / "out", "captions", "pins", "pin_id") == {"a": ["a pin"], "b": [], "c": ["two", "words"]}
    assert "alt_text" not in products.schema.names
    assert coverage["products"]["coverage"] == 0.5 and coverage["pins"]["with"] == 2


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (
            lambda tables, out: enrich_captions(tables, out, ColumnCaptions("alt")),
            "neither products nor pins have a column 'alt'",
        ),
        (lambda tables, out: enrich_captions(tables / "truth", out, ColumnCaptions("alt")), "neither products.parquet"),
        (
            lambda tables, out: enrich_queries(
                tables, out, prepare=PrepareConfig(split=SplitConfig(by="query")), state=out.parent / "state"
            ),
            "--state counts by time",
        ),
    ],
)
def test_what_cannot_be_done(tables, tmp_path, work, message):
    with pytest.raises(TfsageError, match=message):
        work(tables, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tables_and_columns_that_a_job_needs(shop, tmp_path):
    without_titles = {name: values for name, values in shop.pop("boards").items() if name != "title"}
    for name, boards in (("none", {}), ("untitled", {"boards": without_titles})):
        with pytest.raises(TfsageError, match="there is no table boards with a column title"):
            enrich_boards(write_tables(tmp_path / name, shop | boards), tmp_path / "out")
    del shop["queries"]
    with pytest.raises(TfsageError, match="there is no table queries"):
        enrich_queries(write_tables(tmp_path / "unasked", shop), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none", "unasked", "untitled"], "nothing is left behind"
