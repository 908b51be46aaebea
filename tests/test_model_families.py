"""SearchSage and OmniSearchSage: the same model with other towers and tasks."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import TINY
from tests.omni import OMNI, POOLS, TASKS, TOWERS
from tfsage.config import Config
from tfsage.data.prepared import PreparedData
from tfsage.embedding import embed_entities, embed_queries
from tfsage.errors import TfsageError
from tfsage.models import ItemSage, OmniSearchSage, SearchSage

FROZEN = [
    {**TASKS[0], "candidate_tower": "pinsage"},
    {**TASKS[2], "candidate_tower": "images"},
]


@pytest.fixture(scope="module")
def data(prepared):
    return PreparedData(prepared)


@pytest.fixture(scope="module")
def model(data):
    model = OmniSearchSage(Config.model_validate(OMNI), data)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def batch(model):
    return next(iter(model.batches.dataset(featurize=model.featurize)))


def test_every_pool_has_its_own_loss_and_all_towers_learn(model, batch):
    before = [variable.numpy() for variable in model.trainable_variables]
    logs = model.train_step(batch)
    assert float(logs["finite"]) == 1.0
    assert {name for name in logs if name.startswith("temperature_")} == {f"temperature_{pool}" for pool in POOLS}
    moved = [np.abs(v - old).max() > 0 for v, old in zip(model.trainable_variables, before, strict=True)]
    own = {id(v): name for name in ("text", "unified") for v in model.towers[name].trainable_variables}
    share = {
        name: [m for m, v in zip(moved, model.trainable_variables, strict=True) if own.get(id(v)) == name]
        for name in ("text", "unified")
    }
    assert all(np.mean(found) > 0.9 for found in share.values())
    assert model.towers["pinsage"].variables == [] and model.towers["images"].variables == []


def test_the_loss_is_the_weighted_mean_over_the_pairs_of_all_tasks(model, batch):
    """Every task counts by its pairs, those that are shared once for each encoder."""
    embed, features = model._embed(batch, training=False)
    vectors = {name: embed[name](part) for name, part in features.items()}
    queries = vectors["queries", "text"]
    total, weight = 0.0, 0.0
    for pool, pairs in batch["pairs"].items():
        rows = model.pools[pool].losses(pairs, queries, vectors["candidates", pool], 0.0, training=False)
        total += float(tf.reduce_sum(rows.rows * pairs["weight"]))
        weight += float(tf.reduce_sum(pairs["weight"]))
    assert float(model.compute_loss(batch)) == pytest.approx(total / weight, rel=1e-4)


def test_frequencies_of_a_pool_are_those_of_its_own_candidates(data):
    """One sketch for all pools, as in Pinterest's open code, would take a pin for as frequent as the product of its
    number, and every candidate for rarer than it is in its own softmax."""
    section = {**OMNI, "towers": {**TOWERS, "text": {"kind": "ngram"}}}
    model = OmniSearchSage(Config.model_validate(section), data)
    steps, seen = 6, {pool: [] for pool in POOLS}
    for step in range(steps):
        for pool, pairs in model.batches(step)["pairs"].items():
            model.pools[pool]._count(tf.constant(pairs["query_id"]), tf.constant(pairs["candidate_id"]))
            seen[pool].append(pairs["candidate_id"])
    differ = 0
    everything = np.concatenate([ids for own in seen.values() for ids in own])
    for pool, own in seen.items():
        ids, counts = np.unique(np.concatenate(own), return_counts=True)
        log_q = model.pools[pool].frequency.log_q(tf.constant(ids)).numpy()
        np.testing.assert_allclose(log_q, np.log(counts / counts.sum()), atol=1e-5)
        shared = np.log((everything[None] == ids[:, None]).sum(1) / len(everything))
        differ = max(differ, np.abs(shared - log_q).max())
    assert differ > 1.0, "the control: the pools' frequencies do differ from those of all together"


def test_vectors_of_every_entity_type(model, data):
    for kind, tower in (("pin", "unified"), ("product", "unified"), ("pin", "pinsage"), ("query", "text")):
        vectors = embed_entities(model.towers[tower], data, kind, rows=[3, 0])
        assert vectors.shape == (2, 256)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    pins = np.asarray(data.queries("pin").embeddings[[3, 0]])
    wanted = pins / np.linalg.norm(pins, axis=1, keepdims=True)
    np.testing.assert_allclose(embed_entities(model.towers["pinsage"], data, "pin", [3, 0]), wanted, atol=1e-5)
    as_candidates = embed_entities(model.towers["text"], data, "query", [3, 0])
    np.testing.assert_allclose(embed_queries(model.towers["text"], data, "query", [3, 0]), as_candidates, atol=1e-5)


def test_searchsage_trains_its_query_tower_alone(data):
    model = SearchSage(Config.model_validate({**OMNI, "tasks": FROZEN}), data)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    before = [variable.numpy() for variable in model.towers["text"].trainable_variables]
    model.train_step(next(iter(model.batches.dataset(featurize=model.featurize))))
    moved = [np.abs(v - old).max() > 0 for v, old in zip(model.towers["text"].trainable_variables, before, strict=True)]
    assert np.mean(moved) > 0.9
    assert set(model.pools) == {"pinsage_pin", "images"}


@pytest.mark.parametrize(
    ("model", "raw", "problem"),
    [
        (ItemSage, OMNI, r"embeds products, but .*'pin', 'pin_frozen', 'related'.* tfsage.OmniSearchSage"),
        (SearchSage, OMNI, r"compatibility encoders alone, but \['text', 'unified'\] are none"),
        (SearchSage, TINY, "has one query tower"),
        (OmniSearchSage, TINY, "has one query tower, .* tfsage.ItemSage"),
    ],
)
def test_a_config_of_another_model_is_refused(data, model, raw, problem):
    with pytest.raises(TfsageError, match=problem):
        model(Config.model_validate(raw), data)
