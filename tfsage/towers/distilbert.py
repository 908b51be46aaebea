"""The learned query tower of SearchSage and OmniSearchSage (§3.4.1): DistilBERT over the query's text."""

from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
import tf_keras
from keras_nlp.models import DistilBertBackbone, DistilBertTokenizer

from tfsage.config import DistilBertTowerConfig
from tfsage.errors import TfsageError
from tfsage.towers.base import Tower
from tfsage.towers.normalize import l2_normalize
from tfsage.towers.packed import encode_cls

_SPECIAL_TOKENS = 2


class DistilBertTower(Tower):
    """WordPiece tokens through DistilBERT; the output at [CLS] through one linear map; L2.

    The tokenizer is part of the graph. A batch is as long as its longest query, at most `max_length` tokens with
    [CLS] and [SEP]; what is longer is cut. Next to nothing is computed for padding (`tfsage.towers.packed`). Dropout
    draws from `dropout_generators`, which a training sets anew in every step, so that a resumed one goes on with the
    same masks.

    Args:
        config: its section of the config.
        wordpiece: the vocabulary file for `weights: scratch` (`tfsage.text.wordpiece`); case-folded text.

    Raises:
        TfsageError: the weights cannot be loaded, `scratch` without a vocabulary, or a `max_length` that the pretrained
            model does not reach.
    """

    def __init__(self, config: DistilBertTowerConfig, wordpiece: Path | None = None, name: str = "distilbert"):
        super().__init__(name=name)
        self.dimension = config.dimension
        self.raw_signature = {"query": tf.TensorSpec([None], tf.string)}
        self.feature_signature = {
            "token_ids": tf.TensorSpec([None, None], tf.int32),
            "padding_mask": tf.TensorSpec([None, None], tf.int32),
        }
        with _stateful_dropout():
            if config.weights == "scratch":
                self.tokenizer, self.backbone = _from_scratch(config, wordpiece, name)
            else:
                self.tokenizer, self.backbone = _from_preset(config.weights, name)
        if config.max_length > self.backbone.max_sequence_length:
            raise TfsageError(
                f"towers.{name}.max_length: {config.max_length} is more than the {self.backbone.max_sequence_length} "
                f"positions of {config.weights!r}"
            )
        self.dropout_generators = _generators(self.backbone)
        self._most_pieces = config.max_length - _SPECIAL_TOKENS
        self.projection = tf_keras.layers.Dense(config.dimension, name="projection")

    def featurize(self, raw):
        # The tokenizer takes a text with one wrong byte as one unknown word.
        text = tf.strings.unicode_transcode(
            raw["query"], "UTF-8", "UTF-8", errors="replace", replacement_char=ord(" "), replace_control_characters=True
        )
        pieces = self.tokenizer(text)[:, : self._most_pieces]
        rows = pieces.nrows()
        first = tf.fill([rows, 1], self.tokenizer.cls_token_id)
        last = tf.fill([rows, 1], self.tokenizer.sep_token_id)
        tokens = tf.concat([first, pieces, last], axis=1)
        return {
            "token_ids": _dense(tokens, self.tokenizer.pad_token_id),
            "padding_mask": _dense(tf.ones_like(tokens), 0),
        }

    def call(self, features, training=False):
        return l2_normalize(self.projection(encode_cls(self.backbone, features, training)))


def _dense(tokens: tf.RaggedTensor, padding: int) -> tf.Tensor:
    """int32 [rows, longest row]; at least wide enough for the special tokens, also without rows."""
    width = tf.maximum(tokens.bounding_shape(axis=1, out_type=tf.int32), _SPECIAL_TOKENS)
    return tokens.to_tensor(padding, shape=tf.stack([tf.cast(tokens.nrows(), tf.int32), width]))


def _from_scratch(config: DistilBertTowerConfig, wordpiece: Path | None, name: str):
    if wordpiece is None:
        raise TfsageError(f"towers.{name}.weights: 'scratch' needs a WordPiece vocabulary, and there is none")
    tokenizer = DistilBertTokenizer(str(wordpiece), lowercase=True)
    backbone = DistilBertBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=config.layers,
        num_heads=config.heads,
        hidden_dim=config.width,
        intermediate_dim=config.feed_forward,
        dropout=config.dropout,
        max_sequence_length=config.max_length,
    )
    return tokenizer, backbone


def _from_preset(preset: str, name: str):
    try:
        return DistilBertTokenizer.from_preset(preset), DistilBertBackbone.from_preset(preset)
    except Exception as error:
        raise TfsageError(
            f"towers.{name}.weights: cannot load {preset!r} ({error}); give `scratch`, a local preset directory, or "
            f"one of the presets {sorted(DistilBertBackbone.presets)}, which are downloaded on first use"
        ) from error


def _generators(model: tf_keras.Model) -> list[tf.random.Generator]:
    """What the dropout layers draw from. Keras hides it from checkpoints, so the tower has to track it itself."""
    parts = (part for layer in model.layers for part in (layer, *layer.submodules))
    return [part._random_generator._generator for part in parts if isinstance(part, tf_keras.layers.Dropout)]


@contextmanager
def _stateful_dropout():
    """Keras chooses what dropout draws from when a layer is made; by default it has no state that could be saved."""
    backend = tf_keras.backend.experimental
    before = backend.is_tf_random_generator_enabled()
    backend.enable_tf_random_generator()
    try:
        yield
    finally:
        if not before:
            backend.disable_tf_random_generator()
