import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfsage.config import TextConfig
from tfsage.data.stores import RaggedStore, StringWriter
from tfsage.data.tokens import TokenSteps

PRODUCTS = {"title": ["walnut desk", None, "red lamp"], "colors": [["brown"], ["red", "blue"], None]}
QUERIES = ["walnut", "zyzzyva bench", "walnut bench"]


@pytest.fixture
def steps(tmp_path):
    pq.write_table(pa.table(PRODUCTS), tmp_path / "products.parquet")
    with StringWriter(tmp_path / "stores" / "query" / "texts") as writer:
        writer.append(QUERIES)
    return TokenSteps(tmp_path, {"product": ("title", "colors")}, TextConfig(bigrams=10, character_ngrams=0))


def test_only_the_named_queries_are_counted_and_progress_counts_products(steps):
    advanced = []
    vocabulary = steps.build_vocabulary(np.array([0]), advanced.append)
    assert set(vocabulary.tokens["unigrams"]) == {"walnut", "desk", "red", "lamp", "brown", "blue"}
    assert sum(advanced) == 3


def test_the_store_has_one_row_for_each_product_and_field(steps, tmp_path):
    tokens = steps.build_vocabulary(np.array([], np.int64), lambda _: None).tokens
    steps.write_tokens(lambda _: None)
    store = RaggedStore(tmp_path / "stores" / "product" / "tokens")
    names = tokens["unigrams"] + tokens["bigrams"]
    rows = [[names[token] for token in store.gather(np.array([row]))[0]] for row in range(len(store))]
    assert rows == [
        ["walnut", "desk", "walnut_desk"],
        ["brown"],
        [],
        ["red", "blue", "red_blue"],
        ["red", "lamp", "red_lamp"],
        [],
    ]


def test_shares_of_known_tokens(steps):
    steps.build_vocabulary(np.array([0]), lambda _: None)
    known = steps.known_shares({"train": np.array([0]), "test": np.array([1, 2]), "none": np.array([], np.int64)})
    assert known["products"]["unigrams"] == known["products"]["bigrams"] == known["train"]["unigrams"] == 1.0
    assert known["test"] == {"unigrams": 0.25, "bigrams": 0.0, "character_ngrams": 0.0}
    assert known["none"]["unigrams"] == 0.0
