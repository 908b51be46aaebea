"""A space id changes with everything that changes a vector, and with nothing else."""

import tensorflow as tf

from export.space import hash_fingerprint, space_id
from tests.export.fakes import product_tower, query_tower
from tfsage.config import Config

SECTIONS = {
    "product": {"kind": "unified", "dimension": 8, "hash_embedding": {"seed": 3}},
    "text": {"kind": "ngram", "dimension": 8},
    "unused": {"kind": "frozen", "dimension": 8},
}
TASKS = [{"name": "t", "source": "catalog_text", "query_tower": "text"}]


def config(sections=SECTIONS, **more):
    return Config.model_validate({"towers": sections, "tasks": TASKS, **more})


def towers(seed=1):
    return {"product": product_tower(seed), "text": query_tower(seed), "unused": product_tower(9)}


ID = space_id(config(), towers(), "tokenizer", "hash")


def test_the_same_towers_have_the_same_space():
    assert len(ID) == 12 and set(ID) <= set("0123456789abcdef")
    assert space_id(config(), towers(), "tokenizer", "hash") == ID
    trained_longer = config(training={"checkpoint_every": 7})
    assert space_id(trained_longer, towers(), "tokenizer", "hash") == ID


def test_one_weight_of_either_tower_changes_it():
    for name in ("product", "text"):
        changed = towers()
        table = changed[name].table
        table.scatter_nd_update([[5, 5]], [table[5, 5] + 1e-6])
        assert space_id(config(), changed, "tokenizer", "hash") != ID


def test_a_tower_that_is_not_exported_does_not_matter():
    changed = towers()
    changed["unused"].table.assign(tf.zeros_like(changed["unused"].table))
    assert space_id(config(), changed, "tokenizer", "hash") == ID


def test_tokenizer_hash_functions_and_settings_change_it():
    assert space_id(config(), towers(), "other", "hash") != ID
    assert space_id(config(), towers(), "tokenizer", "other") != ID
    fields = {**SECTIONS["product"], "text_fields": ["brand", "title"]}
    assert space_id(config({**SECTIONS, "product": fields}), towers(), "tokenizer", "hash") != ID
    seeded = {**SECTIONS["product"], "hash_embedding": {"seed": 4}}
    assert hash_fingerprint(config({**SECTIONS, "product": seeded})) != hash_fingerprint(config())
