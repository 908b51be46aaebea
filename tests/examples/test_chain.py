"""The chain of the three models, each with few tasks, at its smoke size: each reads what the one before has made."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from examples import chain as example
from export import save_towers
from export.canaries import compare_canaries
from export.embed_catalog import vectors_of
from export.saved_model import Signature
from tfsage.bundle import Bundle
from tfsage.config import load_config
from tfsage.data.prepared import PreparedData

TASKS = {
    "searchsage": {"pin"},
    "itemsage": {"search_click"},
    "omnisearchsage": {"pin", "product", "product_itemsage"},
}
"""What is left of each model: tracing a graph takes longer than all the steps, and grows with the tasks."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    run, configs = tmp_path_factory.mktemp("chain") / "run", tmp_path_factory.mktemp("configs")
    for model, names in TASKS.items():
        config = yaml.safe_load((example.CONFIGS / f"{model}.yaml").read_text())
        config["tasks"] = [task for task in config["tasks"] if task["name"] in names]
        used = {task[side] for task in config["tasks"] for side in ("query_tower", "candidate_tower") if side in task}
        exported = config["export"].get("product_tower", "product")
        config["towers"] = {name: tower for name, tower in config["towers"].items() if name in {*used, exported}}
        if text := config["towers"].get("text"):
            text["layers"] = 1
        (configs / f"{model}.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "CONFIGS", configs)
        # As ever, but in this process.
        patch.setattr(save_towers, "verify_canaries", compare_canaries)
        example.main(run=run, products=200, smoke=True)
    return run


def test_every_entity_type_is_asked_about_and_the_embeddings_of_itemsage_are_read_and_aimed_at():
    configs = {model: load_config(example.CONFIGS / f"{model}.yaml") for model in TASKS}
    last = configs["omnisearchsage"]
    frozen = {"pin_pinsage", "product_itemsage", "offsite_itemsage"}
    assert {task.name for task in last.tasks} == {"pin", "product", "offsite", "related", *frozen}
    assert {task.entity_type for task in last.tasks} == {"product", "pin", "query"}
    assert last.towers["itemsage"].column == "itemsage"
    assert "itemsage" in [each.column for each in last.towers["unified"].embeddings]
    assert {configs["itemsage"].towers[task.query_tower].kind for task in configs["itemsage"].tasks} == {"frozen"}


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


def test_pins_and_products_are_judged_and_products_by_their_learned_and_their_frozen_vectors(chain):
    metrics = json.loads((chain / "omnisearchsage" / "metrics.json").read_text())
    judged = {name for name, task in metrics["tasks"].items() if 0.0 <= task["recall@10"]["value"] <= 1.0}
    assert judged == TASKS["omnisearchsage"]
    assert set(metrics["candidates"]) == {"product", "pin"}
    assert Bundle.open(chain / "omnisearchsage" / "bundle").manifest.products == 200
