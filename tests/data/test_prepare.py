"""The whole step on the tiny shop, against what a person finds by hand."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.data.tiny import FIRST_DAY, tiny_config, tiny_shop, write_tables
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.files import checksums
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def shop():
    shop = tiny_shop()
    shop["products"]["image_embeddings"][1] = [[0.0] * 4, [1.0, 2.0, 3.0, 4.0]]
    shop["products"]["image_embeddings"][4] = []
    shop["exclusions"] = {
        "query_type": ["pin", "pin", "query"],
        "query_id": ["b", "b", "q1"],
        "entity_type": ["product"] * 3,
        "entity_id": ["p4", "p4", "p0"],
    }
    return shop


@pytest.fixture(scope="module")
def folder(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepare")
    write_tables(folder / "tables", shop)
    prepare(folder / "tables", tiny_config(), folder / "out")
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return PreparedData(folder / "out")


def test_entities_keep_their_order(data, shop):
    assert data.product_count == 6 and data.text_fields == ("title", "colors")
    assert data.product_ids.gather(np.arange(6)) == shop["products"]["product_id"]
    assert data.titles.gather(np.arange(6)) == [title or "" for title in shop["products"]["title"]]
    assert pq.read_table(data.folder / "products.parquet").equals(
        pa.table(shop["products"]).cast(pq.read_schema(data.folder / "products.parquet"))
    )
    queries = data.queries("query")
    assert queries.count == 4 and queries.embeddings is None
    assert queries.texts.gather(np.arange(4)) == shop["queries"]["text"]
    pins = data.queries("pin")
    assert pins.ids.gather(np.arange(3)) == ["a", "b", "c"] and pins.texts is None
    np.testing.assert_array_equal(pins.embeddings, np.array(shop["pins"]["embedding"], np.float32))


def test_images_are_stored_without_rows_of_zeros(data, shop):
    values, lengths = data.images().gather(np.arange(6))
    stored = [[image for image in images if any(image)] for images in shop["products"]["image_embeddings"]]
    assert lengths.tolist() == [len(images) for images in stored] == [1, 1, 3, 1, 0, 3]
    np.testing.assert_array_equal(values, np.array([image for images in stored for image in images], np.float32))
    with pytest.raises(TfsageError, match="no embedding column 'video'; there is image_embeddings"):
        data.images("video")


def test_tokens_are_those_of_the_tokenizer(data):
    vocabulary = Vocabulary.load(data.vocabulary_folder)
    tokenizer = NgramTokenizer(vocabulary, tiny_config().text)
    texts = ["red lamp", "red crimson", "", "green", "walnut desk", "brown"]
    rows = np.array([2 * 2, 2 * 2 + 1, 5 * 2, 5 * 2 + 1, 0, 1])
    values, lengths = data.tokens.gather(rows)
    expected = tokenizer(tf.constant(texts))
    np.testing.assert_array_equal(values, expected.flat_values)
    np.testing.assert_array_equal(lengths, expected.row_lengths())
    assert values.dtype == np.int32 and lengths[0] > 0 and lengths[2] == 0


def test_the_vocabulary_has_the_catalog_and_the_training_queries_only(data):
    words = set(Vocabulary.load(data.vocabulary_folder).tokens["unigrams"])
    # "a lamp in red" was asked in training, "zyzzyva bench" only in the test window.
    assert {"walnut", "crimson", "in"} <= words
    assert not {"zyzzyva", "bench"} & words


def test_the_split_by_time(data):
    assert data.manifest["split"] == {
        "by": "time",
        "train_end": str(FIRST_DAY + dt.timedelta(days=99 - 14 - 15)),
        "dev_start": str(FIRST_DAY + dt.timedelta(days=99 - 14)),
        "dev_end": str(FIRST_DAY + dt.timedelta(days=99 - 7)),
        "last": str(FIRST_DAY + dt.timedelta(days=99)),
    }
    assert data.manifest["pairs"] == {"train": 9, "dev": 1, "test": 1}


def test_pairs_of_a_task(data):
    pairs = data.pairs("train", "search", "query", {"click": 1.0, "save": 0.5})
    assert list(zip(pairs.query, pairs.product, pairs.weight, pairs.count, strict=True)) == [
        (0, 0, 1.0, 4.0),
        (0, 1, 0.5, 1.0),
        (1, 2, 1.0, 2.0),
        (2, 4, 1.0, 9.0),
    ]
    assert [column.dtype for column in pairs] == [np.int64, np.int64, np.float32, np.float64]
    assert len(data.pairs("train", "home", "query", {"click": 1.0}).query) == 0
    assert data.pairs("test", "search", "query", {"click": 1.0}).product.tolist() == [5]


def test_exclusions(data):
    assert [column.tolist() for column in data.exclusions("pin")] == [[1], [4]]
    assert [column.tolist() for column in data.exclusions("query")] == [[1], [0]]
    assert [len(column) for column in data.exclusions("product")] == [0, 0]


def test_the_report(data):
    report = json.loads((data.folder / "report.json").read_text())
    missing = report["tables"]["products"]["missing"]
    assert missing["title"] == pytest.approx(1 / 6) and missing["colors"] == pytest.approx(2 / 6)
    assert missing["image_embeddings"] == pytest.approx(1 / 6) and missing["product_id"] == 0
    assert report["tables"]["products"]["zero_vectors"] == {"image_embeddings": 1}
    known = report["vocabulary"]["known_tokens"]
    assert known["products"]["unigrams"] == known["train"]["bigrams"] == 1.0
    assert known["test"]["unigrams"] == 0.0
    searched = [row for row in report["pairs"] if row["split"] == "train" and row["surface"] == "search"]
    assert sum(row["pairs"] for row in searched) == 6 and sum(row["engagements"] for row in searched) == 17


def test_the_same_tables_give_the_same_files(folder):
    first = checksums(folder / "out")
    prepare(folder / "tables", tiny_config(), folder / "again")
    assert checksums(folder / "again") == first


def test_a_failure_leaves_the_earlier_folder(folder):
    before = checksums(folder / "out")
    shop = tiny_shop()
    shop["engagements"]["count"][0] = -1
    with pytest.raises(TfsageError):
        prepare(write_tables(folder / "bad", shop), tiny_config(), folder / "out")
    assert checksums(folder / "out") == before


def test_int64_ids_files_in_parts_and_queries_named_by_their_text(tmp_path):
    shop = tiny_shop()
    products = pa.table({**shop["products"], "product_id": pa.array([7, 70, 700, -7, 2**62, 1], pa.int64())})
    number = dict(zip([f"p{row}" for row in range(6)], products["product_id"].to_pylist(), strict=True))
    text = dict(zip(shop["queries"]["query_id"], shop["queries"]["text"], strict=True))
    shop["queries"] = {"text": list(text.values())}
    engaged = shop["engagements"]
    engaged["entity_id"] = [str(number[name]) for name in engaged["entity_id"]]
    engaged["query_id"] = [text.get(name, name) for name in engaged["query_id"]]
    del shop["products"]
    write_tables(tmp_path / "tables", shop)
    (tmp_path / "tables" / "products").mkdir()
    for part in range(3):
        pq.write_table(products.slice(2 * part, 2), tmp_path / "tables" / "products" / f"{part}.parquet")
    prepare(tmp_path / "tables", tiny_config(), tmp_path / "out")
    data = PreparedData(tmp_path / "out")
    assert data.product_ids.gather(np.arange(6)) == ["7", "70", "700", "-7", str(2**62), "1"]
    assert {kind: data.entity(kind).id_type for kind in data.entity_types} == {
        "product": "int64",
        "pin": "string",
        "query": "string",
    }
    pairs = data.pairs("train", "search", "query", {"click": 1.0})
    assert list(zip(pairs.query, pairs.product, strict=True)) == [(0, 0), (1, 2), (2, 4)]


def test_variants_of_a_query_stay_together(tmp_path):
    shop = tiny_shop()
    variants = ["walnut desk", "desk walnut", "Walnut Desks", "desks, walnut"]
    texts = variants + [f"thing number {row}" for row in range(40)]
    shop["queries"] = {"query_id": list(range(44)), "text": texts}
    shop["engagements"] = {
        "surface": ["search"] * 44,
        "query_type": ["query"] * 44,
        "query_id": list(range(44)),
        "entity_type": ["product"] * 44,
        "entity_id": [f"p{row % 6}" for row in range(44)],
        "action": ["click"] * 44,
    }
    config = tiny_config(split={"by": "auto", "dev_share": 0.3, "test_share": 0.3})
    prepare(write_tables(tmp_path / "tables", shop), config, tmp_path / "out")
    data = PreparedData(tmp_path / "out")
    found = {part: set(data.pairs(part, "search", "query", {"click": 1.0}).query) for part in ("train", "dev", "test")}
    assert data.manifest["split"] == {"by": "query"} and all(found.values())
    assert [len(queries & set(range(4))) for queries in found.values()].count(4) == 1


def test_pins_without_an_embedding_are_the_mean_of_their_images(tmp_path):
    shop = tiny_shop()
    shop["pins"] = {
        "pin_id": ["a", "b", "c"],
        "image_embeddings": [[[1.0, 2, 3, 4], [3.0, 2, 1, 0]], None, [[5.0] * 4]],
    }
    prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")
    pins = PreparedData(tmp_path / "out").queries("pin")
    np.testing.assert_array_equal(pins.embeddings, [[2, 2, 2, 2], [0, 0, 0, 0], [5, 5, 5, 5]])


def test_further_embedding_columns_are_stored(tmp_path):
    shop = tiny_shop()
    shop["products"]["tokens"] = [[float(row), 1.0] for row in range(6)]
    prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")
    values, lengths = PreparedData(tmp_path / "out").images("tokens").gather(np.array([5, 0]))
    np.testing.assert_array_equal(values, [[5, 1], [0, 1]])
    assert lengths.tolist() == [1, 1]


def test_products_as_queries_are_seen_through_their_first_image(tmp_path):
    shop = tiny_shop()
    shop["products"]["image_embeddings"][0] = []
    shop["engagements"]["query_type"][8:] = ["product"] * 4
    shop["engagements"]["query_id"][8:] = ["p5", "p5", "p0", "p1"]
    prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")
    data = PreparedData(tmp_path / "out")
    queries = data.queries("product")
    assert queries.count == 6 and queries.ids[5] == "p5" and queries.texts[1] == "oak desk"
    first = [images[0] if images else [0.0] * 4 for images in shop["products"]["image_embeddings"]]
    np.testing.assert_array_equal(queries.embeddings, np.array(first, np.float32))
    assert data.pairs("train", "closeup", "product", {"click": 1.0}).query.tolist() == [0, 5, 5]


def test_a_split_without_training_pairs_is_refused(tmp_path):
    config = tiny_config(split={"by": "query", "dev_share": 0.0, "test_share": 1.0})
    with pytest.raises(TfsageError, match="The split by query leaves no training pairs"):
        prepare(write_tables(tmp_path / "tables", tiny_shop()), config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pins_and_queries_are_catalogs_that_pairs_lead_to(tmp_path):
    shop = tiny_shop()
    shop["pins"] |= {"title": ["old oak chair", None, "lamp"], "captions": [["a chair"], [], ["a lamp", "red"]]}
    shop["queries"]["language"] = ["en", "en", "de", None]
    more = {
        "surface": ["search"] * 5,
        "query_type": ["query"] * 5,
        "query_id": ["q0", "q0", "q1", "q1", "q2"],
        "entity_type": ["pin", "pin", "query", "query", "query"],
        "entity_id": ["c", "a", "q3", "q1", "q0"],
        "action": ["save", "long_click", "click", "click", "click"],
        "count": [1, 2, 1, 1, 1],
        "timestamp": [FIRST_DAY + dt.timedelta(days=day) for day in (1, 2, 3, 4, 99)],
    }
    shop["engagements"] = {name: [*values, *more[name]] for name, values in shop["engagements"].items()}
    prepare(write_tables(tmp_path / "tables", shop), tiny_config(), tmp_path / "out")
    data = PreparedData(tmp_path / "out")
    assert data.entity_types == ("product", "pin", "query")
    pins, queries = data.entity("pin"), data.entity("query")
    assert pins.text_fields == ("title", "captions") and pins.count == 3
    assert pins.ids.gather(np.arange(3)) == ["a", "b", "c"]
    assert pins.texts.gather(np.arange(3)) == ["old oak chair", "", "lamp"]
    np.testing.assert_array_equal(pins.vectors("embedding").values, np.array(shop["pins"]["embedding"], np.float32))
    tokenizer = NgramTokenizer(Vocabulary.load(data.vocabulary_folder), tiny_config().text)
    values, lengths = pins.tokens.gather(np.arange(6))
    expected = tokenizer(tf.constant(["old oak chair", "a chair", "", "", "lamp", "a lamp red"]))
    np.testing.assert_array_equal(values, expected.flat_values)
    np.testing.assert_array_equal(lengths, expected.row_lengths())
    assert lengths[0] > 0
    assert queries.texts.gather(np.arange(4)) == shop["queries"]["text"] and queries.text_fields == ()
    assert data.queries("query").languages.gather(np.arange(4)) == ["en", "en", "de", ""]
    found = data.pairs("train", "search", "query", {"save": 1.0, "long_click": 0.5}, "pin")
    assert (found.query.tolist(), found.entity.tolist(), found.weight.tolist()) == ([0, 0], [0, 2], [0.5, 1.0])
    related = data.pairs("train", "search", "query", {"click": 1.0}, "query")
    assert (related.query.tolist(), related.entity.tolist()) == ([1], [3])
    assert data.pairs("test", "search", "query", {"click": 1.0}, "query").entity.tolist() == [0]
    report = json.loads((data.folder / "report.json").read_text())
    assert report["steps"]["dropped_with_itself"] == 1
    # The related query of a training pair is learned from; one that only a test pair leads to is not.
    assert "zyzzyva" in Vocabulary.load(data.vocabulary_folder).tokens["unigrams"]
    with pytest.raises(TfsageError, match="the pins have no embedding column 'image_embeddings'; there is embedding"):
        pins.vectors("image_embeddings")
