import numpy as np
import pytest
import tensorflow as tf

from tests.towers.products import FIELDS, IMAGES, SIZE, WORDS, products, text_layers
from tfsage.errors import TfsageError
from tfsage.towers.content import ContentTower


@pytest.fixture(scope="module")
def tower():
    return ContentTower(FIELDS, IMAGES, SIZE, **text_layers(), name="content")


def test_featurize_lays_tokens_out_row_after_row(tower):
    features = tower.featurize({name: tf.constant(value) for name, value in products().items()})
    # Bigrams and character 3-grams follow the words of a field; "mid-century" is two words.
    places = {token: place for place, token in enumerate([*WORDS, "walnut_desk", "_re", "ed_"])}
    rows = [
        [["walnut", "desk", "walnut_desk"], ["acme"], []],
        [["mid", "century", "oak", "chair", "oak", "oak", "oak"], [], ["red", "_re", "ed_"]],
        [[], ["wool"], ["red", "_re", "ed_"]],
        [["brass", "lamp"], [], []],
    ]
    expected = [places[token] for row in rows for field in row for token in field]
    assert features["token_ids"].numpy().tolist() == expected
    assert features["token_lengths"].numpy().tolist() == [[len(field) for field in row] for row in rows]


def test_featurize_drops_absent_images_and_keeps_the_order_of_the_rest(tower):
    raw = products()
    features = tower.featurize({name: tf.constant(value) for name, value in raw.items()})
    assert features["image_lengths"].numpy().tolist() == [2, 3, 1, 0]
    expected = [image for row in raw["image_embeddings"] for image in row if image.any()]
    np.testing.assert_array_equal(features["images"], expected)


def test_text_slots_are_scaled_bags_and_zero_where_the_field_is_empty(tower):
    features = tower.featurize({name: tf.constant(value) for name, value in products().items()})
    slots = tower.text_slots(features).numpy()
    start, lengths = 0, features["token_lengths"].numpy()
    for row in range(4):
        for field in range(3):
            ids = features["token_ids"][start : start + lengths[row, field]]
            start += lengths[row, field]
            bag = tower.hash_embedding.token_vectors(ids).numpy().sum(axis=0)
            rms = np.sqrt((bag**2).mean() + 1e-6)
            np.testing.assert_allclose(slots[row, field], bag / rms, rtol=1e-4, atol=1e-6)


def test_a_group_that_is_left_out_is_not_asked_for():
    images_only = ContentTower((), IMAGES, SIZE, None, None, name="images")
    assert set(images_only.raw_signature) == {"image_embeddings"}
    assert set(images_only.feature_signature) == {"images", "image_lengths"}
    text_only = ContentTower(FIELDS, None, SIZE, **text_layers(), name="text")
    assert set(text_only.raw_signature) == set(FIELDS)
    assert set(text_only.feature_signature) == {"token_ids", "token_lengths"}
    with pytest.raises(TfsageError, match="towers.nothing.*text_fields.*images"):
        ContentTower((), None, SIZE, None, None, name="nothing")
