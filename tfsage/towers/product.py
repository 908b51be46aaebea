"""The product tower of ItemSage (KDD'22, §3.3 and figure 3)."""

import tensorflow as tf

from tfsage.config import ItemSageTowerConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.towers.cls_encoder import ClsEncoder
from tfsage.towers.content import ContentTower
from tfsage.towers.mlp import mlp
from tfsage.towers.normalize import l2_normalize
from tfsage.towers.slots import pad_slots, present_vectors, rms_normalize


class ItemSageTower(ContentTower):
    """Images and text fields of a product through a transformer; [CLS] through an MLP with one hidden layer; L2.

    A text field is the sum of the hash embeddings of its tokens. Slots of both groups are brought to the same scale
    (`rms_normalize`), which the paper does not tell, mapped to the transformer's width by one linear map per group,
    and read by [CLS] (`ClsEncoder`). Absent images and empty fields are slots of zeros, as in the paper; they take
    part in the attention. The order of the images does not matter, nor does that of the text fields. Graph neighbours
    (§4.1.3), where the config asks for them, are slots like images, with a linear map of their own.

    With the default config and the paper's vocabulary of 1,264,000 tokens it has the 33.1 million parameters of the
    paper's table 2, and 36.3, 39.4, 42.6 with 2, 3, 4 `layers`.

    Args:
        config: its section of the config; `images: null` or `text_fields: []` leave a group out (table 3, "Feature").
        tokenizer, hash_embedding: needed if there are text fields.

    Raises:
        TfsageError: neither text fields nor images, or `heads` does not divide `width`.
    """

    def __init__(
        self,
        config: ItemSageTowerConfig,
        tokenizer: NgramTokenizer | None = None,
        hash_embedding: HashEmbedding | None = None,
        name: str = "itemsage",
    ):
        super().__init__(config.text_fields, config.images, config.dimension, tokenizer, hash_embedding, name)
        self.neighbours = config.neighbours
        capacities = {"image": config.images.slots} if config.images else {}
        if config.neighbours:
            shape = [None, None, config.neighbours.dimension]
            self.raw_signature[config.neighbours.column] = tf.TensorSpec(shape, tf.float32)
            self.feature_signature["neighbours"] = tf.TensorSpec(shape[1:], tf.float32)
            self.feature_signature["neighbour_lengths"] = tf.TensorSpec([None], tf.int32)
            capacities["neighbour"] = config.neighbours.slots
        if config.text_fields:
            capacities["text"] = len(config.text_fields)
        self.encoder = ClsEncoder(capacities, config.width, config.heads, config.feed_forward, config.layers)
        self.head = mlp([config.head_hidden], config.dimension, name="head")

    def featurize(self, raw):
        features = super().featurize(raw)
        if self.neighbours is not None:
            vectors = raw[self.neighbours.column][:, : self.neighbours.slots]
            features["neighbours"], features["neighbour_lengths"] = present_vectors(vectors)
        return features

    def call(self, features, training=False):
        slots = {}
        if self.neighbours is not None:
            lengths = features["neighbour_lengths"]
            longest = tf.minimum(tf.reduce_max(tf.concat([[0], lengths], 0)), self.neighbours.slots)
            slots["neighbour"] = pad_slots(rms_normalize(features["neighbours"]), lengths, longest)
        if self.images is not None:
            # No more slots than the batch needs: the encoder accounts for the empty ones that are left out.
            longest = tf.reduce_max(tf.concat([[0], features["image_lengths"]], 0))
            slots["image"] = self.image_slots(features, tf.minimum(longest, self.images.slots))
        if self.text_fields:
            slots["text"] = self.text_slots(features)
        return l2_normalize(self.head(self.encoder(slots)))
