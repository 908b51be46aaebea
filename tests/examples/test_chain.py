"""The chain of the three models at its smoke size: each really reads what the one before has made."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.embed_catalog import vectors_of
from export.saved_model import Signature
from tests.conftest import command
from tfsage.bundle import Bundle
from tfsage.data.prepared import PreparedData


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    run = tmp_path_factory.mktemp("chain") / "run"
    command(["examples.chain", "--smoke", "--run", run])
    return run


def test_queries_of_itemsage_are_those_that_searchsage_embeds(chain):
    tower = Signature(Bundle.open(chain / "searchsage" / "bundle").query_tower)
    queries = PreparedData(chain / "data_itemsage").queries("query")
    texts = np.array([text.encode() for text in queries.texts.gather(np.arange(20))], object)
    np.testing.assert_allclose(queries.embeddings[:20], tower(query=texts), atol=1e-5)
    before = PreparedData(chain / "data_searchsage").queries("query").embeddings[:20]
    assert np.abs(queries.embeddings[:20] - before).max() > 0.01


def test_products_of_omnisearchsage_have_the_embeddings_of_itemsage(chain):
    bundle = Bundle.open(chain / "itemsage" / "bundle")
    made = pa.concat_tables([pq.read_table(part) for part in bundle.parts()])
    products = PreparedData(chain / "data_omnisearchsage").entity("product")
    values, lengths = products.vectors("itemsage").gather(np.arange(products.count))
    assert (lengths == 1).all() and made["product_id"].to_pylist() == products.ids.gather(np.arange(products.count))
    np.testing.assert_array_equal(values, vectors_of(made))


def test_every_entity_type_is_judged_by_its_learned_and_its_frozen_vectors(chain):
    metrics = json.loads((chain / "omnisearchsage" / "metrics.json").read_text())
    judged = {name for name, task in metrics["tasks"].items() if 0.0 <= task["recall@10"]["value"] <= 1.0}
    assert judged == {"pin", "pin_pinsage", "product", "product_itemsage", "offsite", "offsite_itemsage", "related"}
    assert set(metrics["candidates"]) == {"product", "pin", "query"}
    assert Bundle.open(chain / "omnisearchsage" / "bundle").manifest.products == 200
