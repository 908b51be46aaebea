from types import SimpleNamespace

import numpy as np

from tests.conftest import TINY
from tests.omni import OMNI
from tfsage.config import Config, FrozenTowerConfig, ImageConfig, UnifiedTowerConfig
from tfsage.data.prepared import PreparedData
from tfsage.data.tower_samples import frozen_sample, training_query_texts


def test_texts_are_those_of_the_training_queries_of_all_tasks(prepared):
    data, tasks = PreparedData(prepared), Config.model_validate(OMNI).tasks
    asked = set()
    for task in tasks:
        pairs = data.pairs("train", task.surface, task.query_type, task.actions, task.entity_type)
        asked |= set(pairs.query.tolist())
    texts = training_query_texts(data, tasks, "text")
    assert sorted(texts) == sorted(data.queries("query").texts.gather(np.array(sorted(asked))))
    one = [task for task in tasks if task.name == "related"]
    assert 0 < len(training_query_texts(data, one, "text")) < len(texts)
    assert training_query_texts(data, tasks, "another") == []


def test_samples_are_what_the_tower_reads(prepared):
    data, tasks = PreparedData(prepared), Config.model_validate(TINY).tasks
    frozen = frozen_sample(data, tasks, "pin", FrozenTowerConfig(kind="frozen"))
    np.testing.assert_array_equal(frozen, data.queries("pin").embeddings)
    section = UnifiedTowerConfig(kind="unified", images=ImageConfig())
    np.testing.assert_array_equal(frozen_sample(data, tasks, "product", section), data.images().values)


def test_a_tower_of_pins_and_products_takes_a_sample_of_both():
    stores = {kind: SimpleNamespace(values=np.full((3, 2), value)) for kind, value in (("pin", 1.0), ("product", 2.0))}
    entities = {
        kind: SimpleNamespace(embedding_columns={"pictures": 2}, vectors=lambda _, kind=kind: stores[kind])
        for kind in stores
    }
    entities["query"] = SimpleNamespace(embedding_columns={})
    data = SimpleNamespace(entity=entities.__getitem__)
    tasks = [SimpleNamespace(candidate_tower="one", entity_type=kind) for kind in entities]
    section = UnifiedTowerConfig(kind="unified", images=ImageConfig(column="pictures", dimension=2))
    assert frozen_sample(data, tasks, "one", section).tolist() == [[1.0, 1.0]] * 3 + [[2.0, 2.0]] * 3
