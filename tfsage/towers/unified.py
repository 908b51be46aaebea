"""The unified pin and product tower of OmniSearchSage (2024, §3.4.2)."""

import tensorflow as tf

from tfsage.config import UnifiedTowerConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.towers.content import ContentTower
from tfsage.towers.mlp import RESIDUAL_SCALE, identity_map, mlp
from tfsage.towers.normalize import l2_normalize
from tfsage.towers.slots import rms_normalize


class UnifiedTower(ContentTower):
    """The sum of all tokens of all text fields beside the continuous features, through an MLP; L2.

    Continuous features are the mean of the images and any further embedding columns. In front of the MLP the text sum,
    each image and each embedding are brought to the same scale (`rms_normalize`); what is missing is zeros, so that one
    tower embeds pins and products, whose tables have different columns.

    The fields are told apart by nothing (`normalize_fields` only keeps a long description from drowning a title),
    unless `separate_fields` puts their sums side by side. Text alone with no `hidden` layers, and an embedding of the
    tower's own dimension, needs no MLP: the vector is the normalised sum of the tokens itself. With `residual_images` a
    linear map of the images' mean, which starts as the identity, is added to the MLP: training then starts in the space
    of the frozen image embeddings.

    Args:
        config: its section of the config.
        tokenizer, hash_embedding: needed if there are text fields.

    Raises:
        TfsageError: it reads neither text fields, nor images, nor embeddings.
    """

    def __init__(
        self,
        config: UnifiedTowerConfig,
        tokenizer: NgramTokenizer | None = None,
        hash_embedding: HashEmbedding | None = None,
        name: str = "unified",
    ):
        super().__init__(
            config.text_fields, config.images, config.dimension, tokenizer, hash_embedding, name, config.embeddings
        )
        straight = (
            not config.hidden
            and not config.separate_fields
            and config.images is None
            and not config.embeddings
            and hash_embedding.dimension == config.dimension
        )
        self.separate_fields = config.separate_fields and bool(config.text_fields)
        self.normalize_fields = config.normalize_fields
        scale = RESIDUAL_SCALE if config.residual_images else 1.0
        self.mlp = None if straight else mlp(config.hidden, config.dimension, "mlp", scale)
        self.skip = identity_map(config.dimension, name="skip") if config.residual_images else None

    def call(self, features, training=False):
        parts = []
        if self.text_fields:
            text = self._text(features)
            if self.mlp is None:
                return l2_normalize(text)
            parts += [text if self.separate_fields else rms_normalize(text)]
        if self.embeddings:
            parts += self.embedding_parts(features)
        if self.images is not None:
            images = tf.reduce_sum(self.image_slots(features, self.images.slots), axis=1)
            kept = tf.clip_by_value(features["image_lengths"], 1, self.images.slots)
            parts += [images / tf.cast(kept, tf.float32)[:, None]]
        mapped = self.mlp(tf.concat(parts, axis=1))
        return l2_normalize(mapped if self.skip is None else mapped + self.skip(parts[-1]))

    def _text(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 [rows, size], or [rows, fields · size] of separate fields."""
        if not self.separate_fields and not self.normalize_fields:
            return self.hash_embedding(features["token_ids"], tf.reduce_sum(features["token_lengths"], axis=1))
        bags = self.text_slots(features)
        if self.separate_fields:
            return tf.reshape(bags, [-1, bags.shape[1] * bags.shape[2]])
        return tf.reduce_sum(bags, axis=1)
