import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.text import reference
from tests.towers.harness import check_tower
from tfsage.config import FrozenTowerConfig, HashEmbeddingConfig, NgramTowerConfig, TextConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.towers.query import FrozenTower, NgramTower

TEXT = TextConfig(light_stemming=True, joined_bigrams=True)
HASHES = HashEmbeddingConfig(buckets=40, dimension=6)
QUERIES = {"query": np.array([b"walnut desk", b"double quoted", b"emoji rug emoji rug"])}


@pytest.fixture(scope="module")
def vocabulary():
    return reference.vocabulary(reference.TEXTS, TEXT)


def _ngram(vocabulary, **options) -> NgramTower:
    embedding = HashEmbedding.for_vocabulary(vocabulary, HASHES)
    return NgramTower(NgramTowerConfig(kind="ngram", **options), NgramTokenizer(vocabulary, TEXT), embedding)


def _frozen(**options) -> FrozenTower:
    return FrozenTower(FrozenTowerConfig(kind="frozen", input_dimension=5, **options))


@pytest.mark.parametrize("options", [{"dimension": 6}, {"dimension": 4, "hidden": (8,)}])
def test_ngram_tower(vocabulary, options, tmp_path):
    check_tower(_ngram(vocabulary, **options), QUERIES, tmp_path)


def test_without_an_mlp_a_query_is_the_sum_of_its_tokens(vocabulary):
    tower = _ngram(vocabulary, dimension=6)
    ids = tower.tokenizer(tf.constant(["walnut desk"]))[0]
    total = tf.reduce_sum(tower.hash_embedding.token_vectors(ids), axis=0).numpy()
    np.testing.assert_allclose(tower.embed({"query": ["walnut desk"]})[0], total / np.linalg.norm(total), atol=1e-6)


def test_another_dimension_takes_a_linear_map(vocabulary):
    tower = _ngram(vocabulary, dimension=4)
    tower.embed({"query": ["walnut desk"]})
    assert [weight.shape for weight in tower.mlp.trainable_variables] == [(6, 4), (4,)]


@pytest.mark.parametrize(
    "options", [{"dimension": 5}, {"dimension": 3, "hidden": ()}, {"dimension": 4, "hidden": (8,)}]
)
def test_frozen_tower(options, tmp_path):
    rows = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    check_tower(_frozen(**options), {"embedding": rows}, tmp_path)


def test_identity_keeps_the_direction_of_the_embedding():
    tower = _frozen(dimension=5)
    rows = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(
        tower.embed({"embedding": rows}), rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-6
    )
    assert tower.variables == []


def test_hidden_null_empty_and_list_are_identity_linear_and_mlp():
    sizes = []
    for hidden in (None, (), (8,)):
        tower = _frozen(dimension=5, hidden=hidden)
        tower.embed({"embedding": np.ones((1, 5), np.float32)})
        sizes.append([tuple(weight.shape) for weight in tower.trainable_variables])
    assert sizes == [[], [(5, 5), (5,)], [(5, 8), (8,), (8, 5), (5,)]]


def test_frozen_embeddings_are_not_rounded_under_mixed_precision():
    rows = np.random.default_rng(2).normal(size=(3, 5)).astype(np.float32)
    expected = _frozen(dimension=5).embed({"embedding": rows}).numpy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        np.testing.assert_array_equal(_frozen(dimension=5).embed({"embedding": rows}), expected)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
