import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from benchmarks.attention import StraightEncoder, copy_weights
from tests.towers.harness import check_tower, empty_rows
from tests.towers.products import FIELDS, IMAGES, SIZE, products, randomize, text_layers
from tfsage.config import HashEmbeddingConfig, ItemSageTowerConfig, NeighbourConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.towers.normalize import l2_normalize
from tfsage.towers.product import ItemSageTower

SIZES = {"width": 16, "heads": 4, "feed_forward": 24, "head_hidden": 32, "dimension": 12}
BOTH = {"text_fields": FIELDS, "images": IMAGES}


def make_tower(layers: int = 1, **groups) -> ItemSageTower:
    tf_keras.utils.set_random_seed(1)
    config = ItemSageTowerConfig(kind="itemsage", layers=layers, **SIZES, **(groups or BOTH))
    tower = ItemSageTower(config, **text_layers())
    tower(tower.featurize(empty_rows(tower, 1)))
    randomize(tower.weights)
    return tower


@pytest.fixture(scope="module")
def tower():
    return make_tower()


@pytest.fixture(scope="module")
def embedding_of_the_paper():
    """Shared, since it is most of the parameters."""
    return HashEmbedding(1_264_000, HashEmbeddingConfig())


@pytest.mark.parametrize(("layers", "millions"), [(1, 33.1), (2, 36.3), (3, 39.4), (4, 42.6)])
def test_parameters_are_those_of_table_2(embedding_of_the_paper, layers, millions):
    config = ItemSageTowerConfig(kind="itemsage", layers=layers)
    tower = ItemSageTower(config, hash_embedding=embedding_of_the_paper)
    tower(no_features(tower))
    assert tower.count_params() / 1e6 == pytest.approx(millions, abs=0.05)


def no_features(tower) -> dict[str, tf.Tensor]:
    """Features of one product with nothing in it."""
    rows = {"token_lengths": [1, len(tower.text_fields)], "image_lengths": [1], "token_ids": [0]}
    return {name: tf.zeros(rows.get(name, [0, 256]), spec.dtype) for name, spec in tower.feature_signature.items()}


@pytest.mark.parametrize(
    ("layers", "groups"),
    [
        (1, BOTH),
        (2, BOTH),
        (1, {"text_fields": FIELDS, "images": None}),
        (1, {"text_fields": (), "images": IMAGES}),
    ],
)
def test_harness(layers, groups, tmp_path):
    text, images = bool(groups["text_fields"]), groups["images"] is not None
    check_tower(make_tower(layers, **groups), products(text, images), tmp_path)


NEIGHBOURS = NeighbourConfig(column="around", slots=5, dimension=6)


def with_neighbours(count: int = 7) -> dict[str, np.ndarray]:
    """The products with 0 to 7 graph neighbours."""
    values = np.random.default_rng(8).standard_normal((4, count, 6)).astype(np.float32)
    present = np.arange(count) < np.array([[0], [2], [count], [5]])
    return {**products(), "around": values * present[:, :, None].astype(np.float32)}


@pytest.mark.parametrize("layers", [1, 2])
def test_harness_with_graph_neighbours(layers, tmp_path):
    check_tower(make_tower(layers, **BOTH, neighbours=NEIGHBOURS), with_neighbours(), tmp_path)


@pytest.mark.parametrize("layers", [1, 2])
def test_graph_neighbours_are_a_group_of_their_own(layers):
    """Through keras_nlp with three groups; a neighbour beyond the slots does not count."""
    tower, raw = make_tower(layers, **BOTH, neighbours=NEIGHBOURS), with_neighbours()
    features = tower.featurize(raw)
    images = tower.image_slots(features, IMAGES.slots).numpy()
    around = raw["around"][:, :5]
    around = around / np.sqrt((around**2).mean(-1, keepdims=True) + 1e-6)
    slots = {"image": images, "neighbour": around, "text": tower.text_slots(features).numpy()}
    capacities = {"image": 4, "neighbour": 5, "text": 3}
    straight = StraightEncoder(capacities, width=16, heads=4, feed_forward=24, layers=layers)
    straight(slots)
    copy_weights(tower.encoder, straight)
    np.testing.assert_allclose(tower.encoder(slots), straight(slots), atol=1e-5)
    vectors = tower.embed(raw).numpy()
    np.testing.assert_allclose(vectors, l2_normalize(tower.head(straight(slots))), atol=1e-5)
    beyond = raw["around"].copy()
    beyond[:, 5:] = 3.0
    np.testing.assert_allclose(tower.embed({**raw, "around": beyond}), vectors, atol=1e-5)


def test_equals_the_straight_computation(tower):
    """Token by token and slot by slot in numpy, the whole sequence through keras_nlp, the head in numpy."""
    raw = products()
    texts = np.stack([raw[field] for field in FIELDS], axis=1).ravel()
    tokens = tower.tokenizer(tf.constant(texts)).to_list()
    bags = [tower.hash_embedding.token_vectors(tf.constant(ids, tf.int32)).numpy().sum(0) for ids in tokens]
    text = np.array(bags).reshape(4, 3, SIZE)
    images = np.zeros((4, IMAGES.slots, SIZE), np.float32)
    for row, values in enumerate(raw["image_embeddings"]):
        present = [value for value in values if value.any()]
        images[row, : len(present)] = np.reshape(present, [-1, SIZE])
    slots = {"image": images, "text": text}
    slots = {group: part / np.sqrt((part**2).mean(-1, keepdims=True) + 1e-6) for group, part in slots.items()}

    straight = StraightEncoder({"image": 4, "text": 3}, width=16, heads=4, feed_forward=24, layers=1)
    straight(slots)
    copy_weights(tower.encoder, straight)
    kernel_1, bias_1, kernel_2, bias_2 = tower.head.get_weights()
    vectors = np.maximum(straight(slots) @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(tower.embed(raw), vectors, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_order_of_images_does_not_matter_but_their_presence_does(layers):
    tower, raw = make_tower(layers), products()
    vectors = tower.embed(raw).numpy()
    reversed_images = raw["image_embeddings"][:, ::-1].copy()
    np.testing.assert_allclose(tower.embed({**raw, "image_embeddings": reversed_images}), vectors, atol=1e-5)
    without = reversed_images.copy()
    without[0] = 0
    changed = np.abs(tower.embed({**raw, "image_embeddings": without}) - vectors).max(axis=1)
    assert changed[0] > 0.01 and changed[1:].max() < 1e-5


def test_padding_slots_equal_absent_slots(tower):
    raw = products()
    vectors = tower.embed(raw)
    padded = np.pad(raw["image_embeddings"], [(0, 0), (0, 9), (0, 0)])
    np.testing.assert_allclose(tower.embed({**raw, "image_embeddings": padded}), vectors, atol=1e-5)
    # An image of zeros that a pipeline kept is an absent one too.
    features = tower.featurize(raw)
    kept = np.insert(features["images"].numpy(), 6, 0, axis=0)
    with_zeros = {**features, "images": tf.constant(kept), "image_lengths": features["image_lengths"] + [0, 0, 0, 1]}
    np.testing.assert_allclose(tower(with_zeros), vectors, atol=1e-5)


def test_only_the_first_images_are_kept(tower):
    raw = {name: value[:1] for name, value in products().items()}
    images = np.random.default_rng(4).standard_normal((1, 7, SIZE)).astype(np.float32)
    first = tower.embed({**raw, "image_embeddings": images[:, :4]})
    np.testing.assert_allclose(tower.embed({**raw, "image_embeddings": images}), first, atol=1e-5)
    assert np.abs(tower.embed({**raw, "image_embeddings": images[:, :3]}) - first).max() > 0.001


def test_a_product_with_nothing_in_it_has_a_unit_vector_and_a_finite_gradient(tower):
    features = tower.featurize(empty_rows(tower, 3))
    with tf.GradientTape() as tape:
        vectors = tower(features, training=True)
    gradients = tape.gradient(vectors, tower.trainable_variables, output_gradients=tf.ones_like(vectors))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert all(np.isfinite(tf.convert_to_tensor(gradient)).all() for gradient in gradients)


def test_a_long_text_weighs_no_more_than_a_short_one(tower):
    """The sum over a field's tokens grows with their number; its share in the vector must not."""
    raw = {name: value[:1] for name, value in products().items()}
    short, long = (
        tower.embed({**raw, "title": np.array([title], object)}).numpy() for title in ("oak", " ".join(["oak"] * 500))
    )
    np.testing.assert_allclose(long, short, atol=1e-3)


@pytest.mark.parametrize("layers", [1, 2])
def test_mixed_precision_gives_float32_unit_vectors_close_to_those_of_float32(layers):
    expected, raw = make_tower(layers), products()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = make_tower(layers)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    for old, new in zip(expected.weights, mixed.weights, strict=True):
        new.assign(old)
    vectors = mixed.embed(raw)
    assert vectors.dtype == tf.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors, expected.embed(raw), atol=0.03)
