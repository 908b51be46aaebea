"""Batches whose candidates are products, pins and queries, some of which share their pairs."""

import numpy as np
import pytest

from tests.data.test_batches import assert_equal
from tests.omni import OMNI, PAIRS, POOLS, TASKS
from tfsage.config import Config
from tfsage.data.batches import TrainingBatches
from tfsage.data.features import candidate_features
from tfsage.data.prepared import PreparedData
from tfsage.data.records import make
from tfsage.data.sources import query_space

NAMES = [task["name"] for task in TASKS]


@pytest.fixture(scope="module")
def data(prepared):
    return PreparedData(prepared)


def config(tasks=TASKS, **training):
    return Config.model_validate({**OMNI, "tasks": tasks, "training": {**OMNI["training"], **training}})


@pytest.fixture(scope="module")
def batch(data):
    return TrainingBatches(data, config())(1)


def rows_of(batch, name):
    """What the pairs of a task are: (query row of the batch, query id, candidate id, weight)."""
    pool = next(pool for pool, tasks in POOLS.items() if name in tasks)
    pairs = batch["pairs"][pool]
    own = pairs["task"] == NAMES.index(name)
    return [pairs[part][own] for part in ("query_row", "query_id", "candidate_id", "weight")]


def test_candidates_compete_within_one_tower_and_one_entity_type(data, batch):
    assert set(batch["pairs"]) == set(batch["candidates"]) == set(POOLS)
    for pool, tasks in POOLS.items():
        pairs = batch["pairs"][pool]
        assert {NAMES[task] for task in pairs["task"]} == set(tasks)
        assert len(pairs["negative_id"]) == PAIRS
    types = TrainingBatches(data, config()).entity_types
    assert types == {"unified_pin": "pin", "pinsage_pin": "pin", "unified": "product", "images": "product"} | {
        "text_query": "query"
    }


def test_pairs_are_those_of_the_log_of_their_entity_type(data, batch):
    for task in config().tasks:
        _, query, candidate, _ = rows_of(batch, task.name)
        log = data.pairs("train", task.surface, task.query_type, task.actions, task.entity_type)
        assert set(zip(query.tolist(), candidate.tolist(), strict=True)) <= set(
            zip((log.query + query_space("query")).tolist(), log.entity.tolist(), strict=True)
        )


def test_tasks_that_share_pairs_have_the_same_rows_and_their_queries_are_embedded_once(data, batch):
    for first, second in (("pin", "pin_frozen"), ("product", "product_frozen")):
        for own, shared in zip(rows_of(batch, first), rows_of(batch, second), strict=True):
            assert len(own) and np.array_equal(own, shared)
    assert len(batch["queries"]["text"]["query"]) == PAIRS
    asked = [text.decode() for text in batch["queries"]["text"]["query"]]
    for name in NAMES:
        row, query, *_ = rows_of(batch, name)
        assert [asked[place] for place in row] == data.queries("query").texts.gather(query)


def test_a_batch_holds_the_share_of_each_task_and_of_those_that_share_its_pairs(batch):
    # 48 pairs at 4 : 2 : 1 : 1
    assert [len(rows_of(batch, name)[0]) for name in NAMES] == [24, 24, 12, 12, 6, 6]


@pytest.mark.parametrize("reader", ["store", "records"])
def test_features_belong_to_the_candidates(data, reader, monkeypatch):
    monkeypatch.setattr(make, "LANES", 4)
    batches, sections = TrainingBatches(data, config(product_features=reader)), config().towers
    for step in (0, 7):
        batch = batches(step)
        for pool, pairs in batch["pairs"].items():
            gather = candidate_features(data, sections[batches.towers[pool]], batches.entity_types[pool])
            rows = np.concatenate([pairs["candidate_id"], pairs["negative_id"]])
            assert_equal(batch["candidates"][pool], gather(rows))
        for own, shared in zip(rows_of(batch, "pin"), rows_of(batch, "pin_frozen"), strict=True):
            assert np.array_equal(own, shared)
    assert batches.signature() == TrainingBatches(data, config()).signature()


def test_columns_that_a_table_does_not_have_are_nothing(data):
    section = config().towers["unified"]
    pins, products = (candidate_features(data, section, kind)(np.arange(20)) for kind in ("pin", "product"))
    assert not pins["image_lengths"].any() and not products["vectors"].any()
    values, _ = data.entity("pin").vectors("embedding").gather(np.arange(20))
    np.testing.assert_array_equal(pins["vectors"], values)
    images, lengths = data.images().gather(np.arange(20))
    means = candidate_features(data, config().towers["images"], "product")(np.arange(20))["vectors"]
    wanted = [part.mean(0) for part in np.split(images, np.cumsum(lengths)[:-1])]
    np.testing.assert_allclose(means, wanted, atol=1e-6)


def test_columns_that_are_not_there_are_told(data):
    assert TrainingBatches(data, config()).absent_columns() == {
        "unified": ["embedding"],
        "unified_pin": ["image_embeddings"],
    }


def test_a_query_is_no_negative_of_itself(data):
    batches = TrainingBatches(data, config(random_negatives=data.queries("query").count))
    pairs = batches(0)["pairs"]["text_query"]
    itself = set(enumerate(pairs["query_id"].tolist()))
    positives = set(enumerate(pairs["candidate_id"].tolist()))
    assert itself - positives <= set(map(tuple, pairs["known"].tolist())), "all queries are among the negatives here"


def test_a_product_is_not_the_query_that_has_its_number(data):
    batches = TrainingBatches(data, config(random_negatives=300))
    pairs = batches(0)["pairs"]["unified"]
    log = batches.known["unified"].find(pairs["query_id"], pairs["candidate_id"], np.arange(300))
    np.testing.assert_array_equal(pairs["known"], log)


def test_the_parts_of_a_batch_are_the_batch(data):
    batches = TrainingBatches(data, config())
    whole, parts = batches(2), [batches(2, part, 3) for part in range(3)]
    for name in NAMES:
        found = [rows_of(part, name)[1:] for part in parts]
        for place, wanted in enumerate(rows_of(whole, name)[1:]):
            assert np.array_equal(np.concatenate([own[place] for own in found]), wanted)
    for part in parts:
        for own, shared in zip(rows_of(part, "product"), rows_of(part, "product_frozen"), strict=True):
            assert np.array_equal(own, shared)


@pytest.mark.parametrize(("asked", "left_out"), [("pin", "pin_frozen"), ("pin_frozen", "pin")])
def test_a_phase_may_train_either_of_the_tasks_that_share_pairs(data, asked, left_out):
    batches = TrainingBatches(data, config(phases=[{"steps": 2, "tasks": [asked, "related"]}, {"steps": 2}]))
    first, second = batches(1), batches(2)
    assert [len(rows_of(first, name)[0]) for name in (asked, left_out, "related")] == [38, 0, 10]
    texts = [text.decode() for text in first["queries"]["text"]["query"]]
    row, query, *_ = rows_of(first, asked)
    assert len(texts) == PAIRS
    assert [texts[place] for place in row] == data.queries("query").texts.gather(query)
    for own, shared in zip(rows_of(second, "pin"), rows_of(second, "pin_frozen"), strict=True):
        assert len(own) == 24 and np.array_equal(own, shared)
