import numpy as np
import tensorflow as tf

from tests.towers.harness import check_tower
from tfsage.config import FrozenTowerConfig, HashEmbeddingConfig, ImageConfig, TextConfig, UnifiedTowerConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.text.vocabulary import build_vocabulary
from tfsage.towers.query import FrozenTower
from tfsage.towers.standardize import Standardize
from tfsage.towers.unified import UnifiedTower


def sample(rows=500, size=8):
    rng = np.random.default_rng(1)
    return (rng.standard_normal((rows, size)) * np.linspace(0.01, 2, size) + 3).astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def standardized(vectors):
    spread = vectors.std(0)
    return (vectors - vectors.mean(0)) / (spread + 0.25 * spread.mean())


def test_standardize_is_the_identity_until_adapted():
    layer, vectors = Standardize(8), sample()
    np.testing.assert_array_equal(layer(vectors), vectors)
    layer.adapt(vectors)
    np.testing.assert_allclose(layer(vectors), standardized(vectors), rtol=1e-4, atol=1e-5)
    assert not layer.trainable_variables


def test_a_residual_tower_starts_in_the_space_of_its_embeddings(tmp_path):
    config = FrozenTowerConfig(
        kind="frozen", input_dimension=8, dimension=8, hidden=[16], residual=True, standardize=True
    )
    tower, vectors = FrozenTower(config), sample()
    tower.standardize.adapt(vectors)
    found = tower({"embedding": tf.constant(vectors)}).numpy()
    cosine = (found * unit(standardized(vectors))).sum(1)
    assert cosine.min() > 0.97, "what the MLP adds at first is small"
    check_tower(tower, {"embedding": tf.constant(vectors[:5])}, tmp_path)


def test_unified_towers_with_residual_images_and_separate_fields(tmp_path):
    text = TextConfig(unigrams=20, bigrams=0, character_ngrams=0)
    vocabulary = build_vocabulary([["red desk", "blue lamp"]], text, tmp_path / "vocabulary")
    config = UnifiedTowerConfig(
        kind="unified",
        text_fields=("title", "colors"),
        images=ImageConfig(slots=2, dimension=8, standardize=True),
        hash_embedding=HashEmbeddingConfig(buckets=16, dimension=4),
        hidden=(16,),
        separate_fields=True,
        residual_images=True,
        dimension=8,
    )
    tower = UnifiedTower(
        config, NgramTokenizer(vocabulary, text), HashEmbedding.for_vocabulary(vocabulary, config.hash_embedding)
    )
    tower.standardize.adapt(sample())
    raw = {
        "title": tf.constant(["red desk", "blue lamp", ""]),
        "colors": tf.constant(["", "red", ""]),
        "image_embeddings": tf.constant(np.concatenate([sample()[:2, None], np.zeros((1, 1, 8), np.float32)])),
    }
    check_tower(tower, raw, tmp_path / "exported")
    # The same word in another field is another product: the fields stand side by side.
    swapped = {**raw, "title": raw["colors"], "colors": raw["title"]}
    assert np.abs(tower.embed(raw)[1] - tower.embed(swapped)[1]).max() > 1e-4
