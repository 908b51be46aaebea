"""Whole tables and columns that cannot be used: named before any row is looked at."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.data.tiny import tiny_config, tiny_shop, write_tables
from tfsage.config import Config
from tfsage.data.expected_vectors import expected_vectors
from tfsage.data.missing import missing_features
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.data.tables import find_tables
from tfsage.errors import TfsageError


def refusal(folder, tables, config=None) -> str:
    write_tables(folder, tables)
    with pytest.raises(TfsageError) as error:
        find_tables(folder, expected_vectors(config) if config else [])
    return str(error.value)


def test_good_tables_are_found(tmp_path):
    sources = find_tables(write_tables(tmp_path, tiny_shop()), expected_vectors(tiny_config()))
    assert {name: source.row_count for name, source in sources.items()} == {
        "products": 6,
        "pins": 3,
        "queries": 4,
        "engagements": 12,
    }


def test_a_table_may_be_a_folder_of_files_read_in_order(tmp_path):
    shop = tiny_shop()
    products = pa.table(shop.pop("products"))
    write_tables(tmp_path, shop)
    (tmp_path / "products").mkdir()
    pq.write_table(products.slice(2), tmp_path / "products" / "part-1.parquet")
    pq.write_table(products.slice(0, 2), tmp_path / "products" / "part-0.parquet")
    source = find_tables(tmp_path, [])["products"]
    ids = [value for batch in source.batches(["product_id"]) for value in batch.rows.column(0).to_pylist()]
    assert ids == [f"p{row}" for row in range(6)]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(TfsageError, match="no such folder; it should hold products.parquet"):
        find_tables(tmp_path / "nowhere", [])


def test_a_required_table_is_missing(tmp_path):
    shop = tiny_shop()
    del shop["products"]
    assert "products.parquet: the table is missing" in refusal(tmp_path, shop)


def test_a_text_of_any_name_is_welcome_where_a_tower_reads_it(tmp_path):
    shop, config = tiny_shop(), tiny_config().model_dump()
    shop["products"]["seller_notes"] = [["as new"], ["worn"], None, ["a gift"], [], ["as new"]]
    assert "unknown column 'seller_notes'" in refusal(tmp_path, shop)
    config["towers"]["product"]["text_fields"] = ["title", "seller_notes"]
    config = Config.model_validate(config)
    prepare(tmp_path, config, tmp_path / "data")
    data = PreparedData(tmp_path / "data")
    assert data.text_fields[-1] == "seller_notes"
    found = {each.feature: each for each in missing_features(data, config) if each.entity_type == "product"}
    assert found["seller_notes"].missing == pytest.approx(2 / 6) and not found["seller_notes"].absent
    # What only copies tables lets it pass.
    assert "seller_notes" in find_tables(tmp_path, [], more_texts=None)["products"].columns


def test_a_text_that_no_table_has_is_refused(tmp_path):
    write_tables(tmp_path, tiny_shop())
    with pytest.raises(TfsageError, match="no table has the column 'titel', which a tower's text_fields name"):
        find_tables(tmp_path, [], {"titel"})


def test_an_unknown_column_names_the_nearest_known_one(tmp_path):
    shop = tiny_shop()
    shop["products"]["colour"] = ["red"] * 6
    message = refusal(tmp_path, shop)
    assert "products.parquet: unknown column 'colour' (string); the nearest known one is 'colors'" in message


def test_a_further_embedding_column_needs_a_plain_name(tmp_path):
    shop = tiny_shop()
    shop["products"]["../vectors"] = [[[1.0, 2.0]]] * 6
    assert "unknown column '../vectors'" in refusal(tmp_path, shop)


def test_a_file_of_no_table_is_passed_over_aloud(tmp_path, capsys):
    write_tables(tmp_path, {**tiny_shop(), "pin": tiny_shop()["pins"]})
    assert "pin" not in find_tables(tmp_path, [])
    assert "Not read, since no table has that name: pin.parquet" in capsys.readouterr().err


def test_further_embedding_columns_are_welcome(tmp_path):
    shop = tiny_shop()
    shop["products"]["neighbours"] = [[[1.0, 2.0]]] * 6
    shop["pins"]["graph"] = [[1.0, 2.0]] * 3
    sources = find_tables(write_tables(tmp_path, shop), [])
    assert sources["products"].columns["neighbours"].kind == "vectors"
    assert sources["pins"].columns["graph"].kind == "vector"


@pytest.mark.parametrize(
    ("table", "column", "values", "expected"),
    [
        ("products", "product_id", pa.array(range(6), pa.int32()), "is int32; it should be string or int64"),
        ("engagements", "query_id", pa.array([1.0] * 12), "is double; it should be string or int64"),
        ("products", "title", pa.array(range(6)), "is int64; it should be string or list<string>"),
        ("products", "image_embeddings", [[1.0]] * 6, "it should be list<list<float>>"),
        ("products", "image_embeddings", [[[1]]] * 6, "it should be list<list<float>>"),
        ("engagements", "count", ["3"] * 12, "is string; it should be an integer or a float"),
        ("engagements", "timestamp", ["yesterday"] * 12, "is string; it should be timestamp or date"),
        ("engagements", "action", [1] * 12, "is int64; it should be string"),
    ],
)
def test_a_wrong_type(tmp_path, table, column, values, expected):
    shop = tiny_shop()
    shop[table][column] = values
    message = refusal(tmp_path, shop)
    assert f"{table}.parquet: column '{column}'" in message and expected in message


def test_a_required_column_is_missing(tmp_path):
    shop = tiny_shop()
    del shop["engagements"]["action"]
    assert "engagements.parquet: column 'action' is missing; it is required" in refusal(tmp_path, shop)


def test_a_column_that_the_config_needs(tmp_path):
    shop = tiny_shop()
    del shop["pins"]["embedding"]
    message = refusal(tmp_path, shop, tiny_config())
    assert "pins: no column embedding or image_embeddings, which tasks.closeup (towers.pin) needs" in message


def test_an_empty_table(tmp_path):
    shop = tiny_shop()
    shop["queries"] = pa.table(shop["queries"]).slice(0, 0)
    assert "queries.parquet: the table is empty" in refusal(tmp_path, shop)


def test_a_file_that_is_not_parquet(tmp_path):
    write_tables(tmp_path, tiny_shop())
    (tmp_path / "pins.parquet").write_text("pin_id,embedding\n")
    with pytest.raises(TfsageError, match=r"pins.parquet: not a Parquet file"):
        find_tables(tmp_path, [])


def test_a_damaged_file_says_where(tmp_path):
    write_tables(tmp_path, tiny_shop())
    file = tmp_path / "products.parquet"
    content = bytearray(file.read_bytes())
    content[4:400] = bytes(396)
    file.write_bytes(content)
    source = find_tables(tmp_path, [])["products"]
    with pytest.raises(TfsageError, match=r"products.parquet: damaged after row 0"):
        list(source.batches())


def test_files_of_one_table_must_agree(tmp_path):
    shop = tiny_shop()
    products = pa.table(shop.pop("products"))
    write_tables(tmp_path, shop)
    (tmp_path / "products").mkdir()
    pq.write_table(products, tmp_path / "products" / "a.parquet")
    pq.write_table(products.drop_columns(["title"]), tmp_path / "products" / "b.parquet")
    with pytest.raises(TfsageError, match=r"b.parquet: its columns or types differ from those of a.parquet"):
        find_tables(tmp_path, [])


def test_every_problem_is_named_at_once(tmp_path):
    shop = tiny_shop()
    shop["products"]["colour"] = ["red"] * 6
    shop["pins"]["pin_id"] = pa.array(range(3), pa.int32())
    del shop["engagements"]["action"]
    message = refusal(tmp_path, shop)
    assert "colour" in message and "int32" in message and "action" in message


def test_optional_images_may_be_missing(shop, tiny_config_file, tmp_path):
    raw = yaml.safe_load(tiny_config_file.read_text())
    raw["towers"]["product"]["images"] = {"optional": True}
    raw["tasks"] = raw["tasks"][1:]
    wanted = expected_vectors(Config.model_validate(raw))
    products = pq.read_table(shop / "products.parquet").drop_columns(["image_embeddings"])
    pq.write_table(products, tmp_path / "products.parquet")
    for name in ("queries", "engagements"):
        shutil.copy(shop / f"{name}.parquet", tmp_path)
    assert "image_embeddings" not in find_tables(tmp_path, wanted)["products"].columns
    raw["towers"]["product"]["images"] = {}
    with pytest.raises(TfsageError, match="no column image_embeddings, which towers.product.images needs"):
        find_tables(tmp_path, expected_vectors(Config.model_validate(raw)))
