import numpy as np
import pytest
import tensorflow as tf

from tests.towers.harness import check_tower
from tests.towers.products import FIELDS, IMAGES, SIZE, products, randomize, text_layers
from tfsage.config import HashEmbeddingConfig, MlpConcatMlpTowerConfig, SumTowerConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.towers.baselines import MlpConcatMlpTower, SumTower


def mlp_concat_mlp(text=True, images=True) -> MlpConcatMlpTower:
    config = MlpConcatMlpTowerConfig(
        kind="mlp_concat_mlp",
        text_fields=FIELDS if text else (),
        images=IMAGES if images else None,
        hidden=16,
        dimension=12,
    )
    return MlpConcatMlpTower(config, **text_layers())


def sum_tower(**options) -> SumTower:
    return SumTower(SumTowerConfig(kind="sum", images=IMAGES, **options))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def numpy_mlp(layers, inputs: np.ndarray) -> np.ndarray:
    weights = layers.get_weights()
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        inputs = np.maximum(inputs @ kernel + bias, 0)
    return inputs @ weights[-2] + weights[-1]


@pytest.mark.parametrize(("text", "images"), [(True, True), (False, True)])
def test_mlp_concat_mlp_harness(text, images, tmp_path):
    check_tower(mlp_concat_mlp(text, images), products(text, images), tmp_path)


def test_mlp_concat_mlp_has_the_parameters_of_table_2():
    config = MlpConcatMlpTowerConfig(kind="mlp_concat_mlp")
    tower = MlpConcatMlpTower(config, hash_embedding=HashEmbedding(1_264_000, HashEmbeddingConfig()))
    features = {
        name: tf.zeros([1, 12] if name == "token_lengths" else [0], tf.int32) for name in ("token_ids", "token_lengths")
    }
    tower({**features, "images": tf.zeros([0, 256]), "image_lengths": tf.zeros([1], tf.int32)})
    assert tower.count_params() / 1e6 == pytest.approx(30.8, abs=0.05)


def test_mlp_concat_mlp_equals_numpy():
    tower, raw = mlp_concat_mlp(), products()
    tower.embed(raw)
    randomize(tower.weights)
    features = tower.featurize(raw)
    slots = np.zeros((4, IMAGES.slots, SIZE), np.float32)
    for row, images in enumerate(raw["image_embeddings"]):
        present = [image for image in images if image.any()]
        for place, image in enumerate(present):
            slots[row, place] = image / np.sqrt((image**2).mean() + 1e-6)
    parts = [numpy_mlp(tower.image_mlp, slots), numpy_mlp(tower.text_mlp, tower.text_slots(features).numpy())]
    expected = numpy_mlp(tower.mlp, np.concatenate(parts, axis=1).reshape(4, -1))
    np.testing.assert_allclose(tower.embed(raw), unit(expected), atol=1e-5)


@pytest.mark.parametrize("options", [{"dimension": SIZE}, {"dimension": 12, "hidden": (16,)}])
def test_sum_harness(options, tmp_path):
    check_tower(sum_tower(**options), products(text=False), tmp_path)


def test_sum_equals_numpy():
    raw = products(text=False)
    tower = sum_tower(dimension=SIZE)
    np.testing.assert_allclose(tower.embed(raw), unit(raw["image_embeddings"].sum(axis=1)), atol=1e-5)
    assert tower.count_params() == 0


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_sum_mlp_applies_the_mlp_to_present_images_only(hidden):
    raw = products(text=False)
    tower = sum_tower(dimension=12, hidden=hidden)
    tower.embed(raw)
    randomize(tower.weights)
    expected = [
        sum(numpy_mlp(tower.mlp, image) for image in images if image.any()) for images in raw["image_embeddings"]
    ]
    np.testing.assert_allclose(tower.embed(raw), unit(np.array(expected)), atol=1e-5)


def test_sum_keeps_the_first_images():
    images = np.random.default_rng(4).standard_normal((1, 7, SIZE)).astype(np.float32)
    expected = unit(images[:, :4].sum(axis=1))
    np.testing.assert_allclose(sum_tower(dimension=SIZE).embed({"image_embeddings": images}), expected, atol=1e-5)
