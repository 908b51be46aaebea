import numpy as np
import pytest

from tests.towers.harness import check_tower
from tests.towers.products import FIELDS, IMAGES, SIZE, products, text_layers
from tfsage.config import UnifiedTowerConfig
from tfsage.towers.unified import UnifiedTower


def make_tower(text=True, images=True, **options) -> UnifiedTower:
    groups = {"text_fields": FIELDS if text else (), "images": IMAGES if images else None}
    return UnifiedTower(UnifiedTowerConfig(kind="unified", **groups, **options), **text_layers())


@pytest.mark.parametrize(
    ("text", "images", "hidden"), [(True, True, (16, 16)), (True, False, ()), (False, True, (16,))]
)
def test_harness(text, images, hidden, tmp_path):
    tower = make_tower(text, images, hidden=hidden, dimension=SIZE)
    check_tower(tower, products(text, images), tmp_path)


def text_sums(tower, raw) -> np.ndarray:
    """Row by row: the sum of the vectors of all tokens of all fields."""
    sums = []
    for row in range(len(raw["title"])):
        ids = np.concatenate([tower.tokenizer([raw[field][row]]).flat_values for field in FIELDS])
        sums.append(tower.hash_embedding.token_vectors(ids).numpy().sum(axis=0))
    return np.array(sums)


def rms_scaled(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt((vectors**2).mean(-1, keepdims=True) + 1e-6)


def test_text_without_hidden_layers_is_the_normalised_sum():
    tower, raw = make_tower(images=False, hidden=(), dimension=SIZE), products(images=False)
    sums = text_sums(tower, raw)
    np.testing.assert_allclose(tower.embed(raw), sums / np.linalg.norm(sums, axis=1, keepdims=True), atol=1e-5)
    assert len(tower.trainable_variables) == 2


def test_equals_numpy():
    tower, raw = make_tower(hidden=(16,), dimension=12), products()
    vectors = tower.embed(raw).numpy()
    means = np.zeros((4, SIZE))
    for row, images in enumerate(raw["image_embeddings"]):
        present = [image for image in images if image.any()]
        if present:
            means[row] = np.mean([rms_scaled(image) for image in present], axis=0)
    inputs = np.concatenate([rms_scaled(text_sums(tower, raw)), means], axis=1)
    kernel_1, bias_1, kernel_2, bias_2 = tower.mlp.get_weights()
    expected = np.maximum(inputs @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_mean_is_of_the_images_that_are_kept():
    tower = make_tower(text=False, hidden=(), dimension=SIZE)
    images = np.random.default_rng(4).standard_normal((1, 7, SIZE)).astype(np.float32)
    tower.embed({"image_embeddings": images})
    # With a bias, the length of the mean shows in the unit vector.
    tower.mlp.layers[-1].bias.assign(np.ones(SIZE))
    expected = rms_scaled(images[:, :4]).mean(axis=1) @ tower.mlp.get_weights()[0] + 1
    vectors = tower.embed({"image_embeddings": images})
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected), atol=1e-5)
