"""The baselines that ItemSage is compared with (ItemSage §4.1.2, table 2)."""

import tensorflow as tf

from tfsage.config import MlpConcatMlpTowerConfig, SumTowerConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.towers.content import ContentTower
from tfsage.towers.mlp import mlp
from tfsage.towers.normalize import l2_normalize
from tfsage.towers.slots import pad_slots


class MlpConcatMlpTower(ContentTower):
    """A 3-layer MLP on every slot, one for images and one for text; all slots concatenated; a 3-layer MLP; L2.

    Slots are those of `ItemSageTower`, empty ones included; their order matters here. With the default config and the
    paper's vocabulary of 1,264,000 tokens it has the paper's 30.8 million parameters.

    Args:
        config: its section of the config.
        tokenizer, hash_embedding: needed if there are text fields.

    Raises:
        TfsageError: neither text fields nor images.
    """

    def __init__(
        self,
        config: MlpConcatMlpTowerConfig,
        tokenizer: NgramTokenizer | None = None,
        hash_embedding: HashEmbedding | None = None,
        name: str = "mlp_concat_mlp",
    ):
        super().__init__(config.text_fields, config.images, config.dimension, tokenizer, hash_embedding, name)
        hidden = [config.hidden, config.hidden]
        self.image_mlp = mlp(hidden, config.hidden, name="image_mlp") if config.images else None
        self.text_mlp = mlp(hidden, config.hidden, name="text_mlp") if config.text_fields else None
        self.mlp = mlp(hidden, config.dimension, name="mlp")
        slots = (config.images.slots if config.images else 0) + len(config.text_fields)
        self._concatenated = slots * config.hidden

    def call(self, features, training=False):
        slots = []
        if self.images is not None:
            slots += [self.image_mlp(self.image_slots(features, self.images.slots))]
        if self.text_fields:
            slots += [self.text_mlp(self.text_slots(features))]
        return l2_normalize(self.mlp(tf.reshape(tf.concat(slots, axis=1), [-1, self._concatenated])))


class SumTower(ContentTower):
    """Sum: the sum of a product's image embeddings, L2. Sum-MLP: an MLP on every image, their sum, L2.

    The MLP is there if `hidden` has layers, or, as one linear map, if the images do not have the tower's dimension.
    Absent images add nothing to the sum.

    Args:
        config: its section of the config.
        tokenizer, hash_embedding: not used; every tower is built from the same three.
    """

    def __init__(self, config: SumTowerConfig, tokenizer=None, hash_embedding=None, name: str = "sum"):
        super().__init__((), config.images, config.dimension, None, None, name)
        straight = not config.hidden and config.images.dimension == config.dimension
        self.mlp = None if straight else mlp(config.hidden, config.dimension, name="mlp")

    def call(self, features, training=False):
        images = features["images"] if self.mlp is None else self.mlp(features["images"])
        return l2_normalize(tf.reduce_sum(pad_slots(images, features["image_lengths"], self.images.slots), axis=1))
