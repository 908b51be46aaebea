import numpy as np
import pytest

from tests.towers.harness import check_tower
from tests.towers.products import FIELDS, IMAGES, SIZE, products, text_layers
from tfsage.config import EmbeddingConfig, UnifiedTowerConfig
from tfsage.towers.unified import UnifiedTower

VECTORS = (EmbeddingConfig(column="pinsage", dimension=6), EmbeddingConfig(column="itemsage", dimension=5))


def frozen(rows=4) -> dict[str, np.ndarray]:
    """The two embedding columns; the last row has neither."""
    rng = np.random.default_rng(9)
    there = np.arange(rows)[:, None] < rows - 1
    return {each.column: (rng.standard_normal((rows, each.dimension)) * there).astype(np.float32) for each in VECTORS}


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


@pytest.mark.parametrize("text", [True, False])
def test_harness_with_embedding_columns(text, tmp_path):
    raw = {**products(text, images=False), **frozen()}
    if not text:
        raw = {name: value[:3] for name, value in raw.items()}  # the fourth has nothing at all
    check_tower(make_tower(text, images=False, hidden=(16,), embeddings=VECTORS, dimension=SIZE), raw, tmp_path)


def test_embeddings_stand_beside_the_text_and_zeros_stand_for_those_that_are_missing():
    tower = make_tower(images=False, hidden=(), embeddings=VECTORS, dimension=12)
    raw = {**products(images=False), **frozen()}
    vectors = tower.embed(raw).numpy()
    inputs = np.concatenate([rms_scaled(part) for part in (text_sums(tower, raw), raw["pinsage"], raw["itemsage"])], 1)
    assert (inputs[3, SIZE:] == 0).all()
    expected = inputs @ tower.mlp.get_weights()[0] + tower.mlp.get_weights()[1]
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_normalised_fields_are_added_up_at_the_same_scale():
    tower, raw = make_tower(images=False, hidden=(), normalize_fields=True, dimension=SIZE), products(images=False)
    total = np.zeros((4, SIZE))
    for field in FIELDS:
        alone = {name: raw[name] if name == field else np.full(4, "", object) for name in FIELDS}
        total += rms_scaled(text_sums(tower, alone))
    np.testing.assert_allclose(tower.embed(raw), total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"embeddings": [{"column": "pinsage"}, {"column": "pinsage"}]}, "pinsage is read twice"),
        ({"embeddings": [{"column": "title"}]}, "title is read twice"),
        ({"images": {}, "embeddings": [{"column": "image_embeddings"}]}, "image_embeddings is read twice"),
        ({"normalize_fields": True, "separate_fields": True}, "choose one of the two"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, problem):
    with pytest.raises(ValueError, match=problem):
        UnifiedTowerConfig(kind="unified", **options)
