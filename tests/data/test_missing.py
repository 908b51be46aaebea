"""Columns that towers read and that tables or entities do not have."""

import pytest

from tests.data.tiny import tiny_config, tiny_shop, write_tables
from tests.omni import OMNI
from tfsage.config import Config
from tfsage.data.missing import missing_features
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData


def found(data, config):
    return {(each.entity_type, each.feature): each for each in missing_features(data, config)}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Of six products, two without colours, one of them without images too; one pin of three has a vector of zeros."""
    folder, shop = tmp_path_factory.mktemp("missing"), tiny_shop()
    shop["products"]["image_embeddings"][1], shop["pins"]["embedding"][2] = [], [0.0] * 4
    prepare(write_tables(folder / "tables", shop), tiny_config(), folder / "data")
    return found(PreparedData(folder / "data"), tiny_config())


def test_shares_are_of_the_entities_that_have_nothing(features):
    shares = {name: features["product", name].missing for name in ("title", "colors", "image_embeddings")}
    assert shares == pytest.approx({"title": 1 / 6, "colors": 2 / 6, "image_embeddings": 1 / 6})
    assert not any(features["product", name].absent for name in shares)


def test_a_column_that_the_table_lacks_is_missing_from_all(features):
    assert features["product", "brand"]._asdict() == {
        "entity_type": "product",
        "feature": "brand",
        "towers": ["product"],
        "missing": 1.0,
        "absent": True,
    }


def test_an_enriched_column_that_no_table_has_is_missing_like_any_other(tmp_path):
    config = tiny_config().model_dump()
    config["towers"]["product"]["text_fields"] = ["title", "captions"]
    config = Config.model_validate(config)
    prepare(write_tables(tmp_path / "tables", tiny_shop()), config, tmp_path / "data")
    features = found(PreparedData(tmp_path / "data"), config)
    assert features["product", "captions"].absent and features["product", "captions"].missing == 1.0


def test_a_query_whose_vector_is_zeros_has_none(features):
    assert features["pin", "embedding"].missing == pytest.approx(1 / 3)
    assert features["pin", "embedding"].towers == ["pin"] and not features["pin", "embedding"].absent
    assert {kind for kind, _ in features} == {"product", "pin"}, "no query is without a text"


def test_one_tower_of_two_entity_types_and_two_towers_of_one_column(prepared):
    features = found(PreparedData(prepared), Config.model_validate(OMNI))
    assert features["product", "embedding"].absent and features["pin", "image_embeddings"].absent
    assert features["product", "embedding"].towers == ["unified"]
    assert features["product", "image_embeddings"].towers == ["unified", "images"]
    assert features["pin", "embedding"].towers == ["unified", "pinsage"]
    assert not features["pin", "embedding"].absent


def test_entities_that_there_are_none_of_have_no_features(tmp_path):
    shop = tiny_shop()
    del shop["pins"]
    shop["engagements"] = {name: values[:8] for name, values in shop["engagements"].items()}
    config = tiny_config().model_dump(exclude_unset=True)
    config["tasks"][0]["optional"] = True
    prepare(write_tables(tmp_path / "tables", shop), Config.model_validate(config), tmp_path / "data")
    assert {kind for kind, _ in found(PreparedData(tmp_path / "data"), tiny_config())} == {"product"}
