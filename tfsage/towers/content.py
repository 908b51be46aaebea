"""What the towers over an entity's content share: text fields, images and embeddings, from raw inputs to slots."""

from collections.abc import Sequence

import tensorflow as tf

from tfsage.config import EmbeddingConfig, ImageConfig
from tfsage.errors import TfsageError
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.towers.base import Tower
from tfsage.towers.slots import pad_slots, present_vectors, rms_normalize
from tfsage.towers.standardize import Standardize

IMAGES = "image_embeddings"
"""The raw input that holds an entity's images; a row of zeros is an absent image."""


class ContentTower(Tower):
    """A tower over text fields, images and embeddings (ItemSage §3.2); subclasses say what happens to them.

    Raw inputs are one string [rows] per text field, `image_embeddings` float32 [rows, images, size], and float32
    [rows, size] per embedding column, zeros where an entity has none. Features are `token_ids` int32 [tokens],
    `token_lengths` int32 [rows, fields], `images` float32 [total, size], `image_lengths` int32 [rows]: absent images
    are not there at all; and `vectors` float32 [rows, sum of sizes], the embeddings side by side. A tower without one
    of the three has neither its inputs nor its features.

    Args:
        text_fields: names of the text fields; empty for a tower without text.
        images: number and size of the images; None for a tower without. Further images than `slots` are ignored.
        dimension: size of the vectors.
        tokenizer, hash_embedding: needed if there are text fields.
        name: of the tower in the config.
        embeddings: the embedding columns.

    Raises:
        TfsageError: it reads nothing at all.
    """

    def __init__(
        self,
        text_fields: tuple[str, ...],
        images: ImageConfig | None,
        dimension: int,
        tokenizer: NgramTokenizer | None,
        hash_embedding: HashEmbedding | None,
        name: str,
        embeddings: Sequence[EmbeddingConfig] = (),
    ):
        super().__init__(name=name)
        if not text_fields and images is None and not embeddings:
            raise TfsageError(f"towers.{name}: it has neither `text_fields` nor `images`; give it at least one of them")
        self.text_fields = text_fields
        self.images = images
        self.embeddings = tuple(embeddings)
        self._sizes = [each.dimension for each in embeddings]
        self.dimension = dimension
        self.raw_signature = {field: tf.TensorSpec([None], tf.string) for field in text_fields}
        self.feature_signature = {}
        if text_fields:
            self.tokenizer = tokenizer
            self.hash_embedding = hash_embedding
            self.feature_signature["token_ids"] = tf.TensorSpec([None], tf.int32)
            self.feature_signature["token_lengths"] = tf.TensorSpec([None, len(text_fields)], tf.int32)
        self.standardize = Standardize(images.dimension) if images is not None and images.standardize else None
        if images is not None:
            self.raw_signature[IMAGES] = tf.TensorSpec([None, None, images.dimension], tf.float32)
            self.feature_signature["images"] = tf.TensorSpec([None, images.dimension], tf.float32)
            self.feature_signature["image_lengths"] = tf.TensorSpec([None], tf.int32)
        if embeddings:
            for each in embeddings:
                self.raw_signature[each.column] = tf.TensorSpec([None, each.dimension], tf.float32)
            self.feature_signature["vectors"] = tf.TensorSpec([None, sum(self._sizes)], tf.float32)

    def featurize(self, raw):
        features = {}
        if self.text_fields:
            features |= self.tokenizer.features([raw[field] for field in self.text_fields])
        if self.images is not None:
            features["images"], features["image_lengths"] = present_vectors(raw[IMAGES])
        if self.embeddings:
            features["vectors"] = tf.concat([raw[each.column] for each in self.embeddings], axis=1)
        return features

    def text_slots(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 [rows, fields, size]: the bag of each text field, RMS-normalised; zeros for an empty field."""
        return rms_normalize(self.hash_embedding(features["token_ids"], features["token_lengths"]))

    def image_slots(self, features: dict[str, tf.Tensor], count: tf.Tensor | int) -> tf.Tensor:
        """float32 [rows, count, size]: the first images of each row, RMS-normalised; zeros where there are fewer."""
        images = features["images"] if self.standardize is None else self.standardize(features["images"])
        return pad_slots(rms_normalize(images), features["image_lengths"], count)

    def embedding_parts(self, features: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """float32 [rows, size] of each embedding column, RMS-normalised; zeros where an entity has none."""
        return [
            rms_normalize(part) for part in tf.split(features["vectors"], [e.dimension for e in self.embeddings], 1)
        ]
