import pytest

from tests.data.tiny import DIMENSION, tiny_config, tiny_shop, write_tables
from tfsage.config import Config
from tfsage.data.expected_vectors import expected_vectors
from tfsage.data.tables import find_tables
from tfsage.errors import TfsageError


def test_towers_with_images_and_tasks_with_frozen_queries_need_vectors():
    found = {(need.table, need.columns, need.dimension) for need in expected_vectors(tiny_config())}
    assert found == {("products", ("image_embeddings",), 4), ("pins", ("embedding", "image_embeddings"), 4)}


def test_a_tower_of_pins_and_products_finds_its_columns_in_either_table(tmp_path):
    raw = tiny_config().model_dump()
    unified = {"kind": "unified", "embeddings": [{"column": "pinsage", "dimension": 3}], "dimension": 4}
    frozen = {"kind": "compatibility", "column": "embedding", "input_dimension": DIMENSION, "dimension": DIMENSION}
    towers = {**raw["towers"], "unified": unified, "frozen": frozen}
    search = {"surface": "search", "actions": {"click": 1.0}, "query_tower": "text"}
    tasks = [
        {**search, "name": "products", "candidate_tower": "unified"},
        {**search, "name": "pins", "entity_type": "pin", "candidate_tower": "unified"},
        {"name": "frozen_pins", "pairs_of": "pins", "query_tower": "text", "candidate_tower": "frozen"},
    ]
    config = Config.model_validate({"towers": towers, "tasks": tasks})
    found = {(need.table, need.columns, need.dimension, need.instead) for need in expected_vectors(config)}
    assert {
        ("products", ("pinsage",), 3, ("pins",)),
        ("pins", ("pinsage",), 3, ("products",)),
        ("pins", ("embedding",), DIMENSION, ()),
    } <= found
    tables = tiny_shop()
    tables["pins"]["pinsage"] = [[1.0, 2.0, 3.0]] * 3
    assert set(find_tables(write_tables(tmp_path / "one", tables), expected_vectors(config))) >= {"pins", "products"}
    del tables["pins"]["pinsage"]
    with pytest.raises(TfsageError, match=r"no column pinsage, which towers.unified.embeddings needs"):
        find_tables(write_tables(tmp_path / "none", tables), expected_vectors(config))
