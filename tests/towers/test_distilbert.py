import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.towers.harness import check_tower
from tfsage.config import DistilBertTowerConfig
from tfsage.errors import TfsageError
from tfsage.text.wordpiece import SPECIAL_TOKENS
from tfsage.towers.distilbert import DistilBertTower

WORDS = ["walnut", "desk", "mid", "##night", "lamp", "-", "a", "1", "/", "2"]
TOKENS = [*SPECIAL_TOKENS, *WORDS]
SMALL = {"layers": 1, "heads": 2, "width": 8, "feed_forward": 16, "dimension": 6, "max_length": 7}


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory):
    file = tmp_path_factory.mktemp("wordpiece") / "wordpiece.txt"
    file.write_text("".join(f"{token}\n" for token in TOKENS))
    return file


def _tower(wordpiece, **options) -> DistilBertTower:
    return DistilBertTower(DistilBertTowerConfig(kind="distilbert", **SMALL | options), wordpiece)


def _features(tower, *queries) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in tower.featurize({"query": tf.constant(queries)}).items()}


def test_distilbert_tower(wordpiece, tmp_path):
    check_tower(_tower(wordpiece), {"query": np.array([b"walnut desk", b"lamp", b"a a a a a a a a a"])}, tmp_path)


def test_queries_are_packed_between_cls_and_sep(wordpiece):
    features = _features(_tower(wordpiece), "WALNUT midnight-lamp", "", "unknownword 1/2")
    packed = [[TOKENS[i] for i in row] for row in features["token_ids"]]
    assert packed == [
        ["[CLS]", "walnut", "mid", "##night", "-", "lamp", "[SEP]"],
        ["[CLS]", "[SEP]", "[PAD]", "[PAD]", "[PAD]", "[PAD]", "[PAD]"],
        ["[CLS]", "[UNK]", "1", "/", "2", "[SEP]", "[PAD]"],
    ]
    np.testing.assert_array_equal(features["padding_mask"], features["token_ids"] != TOKENS.index("[PAD]"))


def test_a_batch_is_as_long_as_its_longest_query_up_to_the_maximum(wordpiece):
    tower = _tower(wordpiece)
    lengths = [_features(tower, *queries)["token_ids"].shape[1] for queries in (["a"], ["a", "a a"], ["a " * 50_000])]
    assert lengths == [3, 4, SMALL["max_length"]]
    assert TOKENS[_features(tower, "a " * 50)["token_ids"][0, -1]] == "[SEP]"


def test_wrong_bytes_do_not_spoil_the_words_beside_them(wordpiece):
    tower = _tower(wordpiece)
    wrong = _features(tower, b"walnut\xff\xfe desk", b"walnut\x00desk")["token_ids"]
    right = _features(tower, "walnut desk", "walnut desk")["token_ids"]
    np.testing.assert_array_equal(wrong, right)


def test_dropout_goes_on_where_a_checkpoint_was_taken(wordpiece, tmp_path):
    tower, resumed = (_tower(wordpiece, dropout=0.5) for _ in range(2))
    features = tower.featurize({"query": tf.constant(["walnut desk", "lamp"])})
    tower(features), resumed(features)
    first = tower(features, training=True).numpy()
    path = tf.train.Checkpoint(tower=tower).save(tmp_path / "checkpoint")
    undisturbed = [tower(features, training=True).numpy() for _ in range(2)]
    tf.train.Checkpoint(tower=resumed).restore(path).assert_consumed()
    for expected in undisturbed:
        np.testing.assert_allclose(resumed(features, training=True), expected, atol=1e-6)
    assert not np.allclose(first, undisturbed[0], atol=1e-3), "dropout does nothing"
    assert not np.allclose(undisturbed[0], undisturbed[1], atol=1e-3), "dropout repeats its mask"


def test_stateful_dropout_is_not_switched_on_for_everybody(wordpiece):
    _tower(wordpiece)
    assert not tf_keras.backend.experimental.is_tf_random_generator_enabled()


def test_a_local_preset_directory(wordpiece, tmp_path):
    """The files of a keras-nlp preset; its sizes are taken from there, not from the config."""
    original = _tower(wordpiece)
    (tmp_path / "assets" / "tokenizer").mkdir(parents=True)
    original.tokenizer.save_assets(str(tmp_path / "assets" / "tokenizer"))
    original.backbone.save_weights(str(tmp_path / "model.weights.h5"))
    for name, part in {"config.json": original.backbone, "tokenizer.json": original.tokenizer}.items():
        (tmp_path / name).write_text(json.dumps(tf_keras.saving.serialize_keras_object(part)))
    (tmp_path / "metadata.json").write_text(json.dumps({"keras_version": "2"}))
    loaded = _tower(None, weights=str(tmp_path), width=64)
    features = original.featurize({"query": tf.constant(["Walnut desk", "midnight"])})
    np.testing.assert_array_equal(
        loaded.featurize({"query": tf.constant(["Walnut desk", "midnight"])})["token_ids"], features["token_ids"]
    )
    np.testing.assert_allclose(loaded.backbone(features), original.backbone(features), atol=1e-6)
    with pytest.raises(TfsageError, match="max_length"):
        _tower(None, weights=str(tmp_path), max_length=SMALL["max_length"] + 1)


def test_unknown_weights_are_refused():
    with pytest.raises(TfsageError, match="towers.distilbert.weights: cannot load 'no_such_preset'"):
        _tower(None, weights="no_such_preset")


def test_scratch_needs_a_vocabulary():
    with pytest.raises(TfsageError, match="'scratch' needs a WordPiece vocabulary"):
        _tower(None)
