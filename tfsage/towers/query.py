"""Query towers without a language model: n-grams of a text, and frozen embeddings."""

import tensorflow as tf

from tfsage.config import FrozenTowerConfig, NgramTowerConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.towers.base import Tower
from tfsage.towers.mlp import RESIDUAL_SCALE, identity_map, mlp
from tfsage.towers.normalize import l2_normalize
from tfsage.towers.slots import rms_normalize
from tfsage.towers.standardize import Standardize


class NgramTower(Tower):
    """The sum of a text's token embeddings, an MLP if `hidden` has layers or the sizes differ, L2.

    With no `hidden` layers, an embedding of the tower's own dimension, and the product tower's hash embedding, a
    query starts out close to the products whose text it shares tokens with.

    Args:
        config: its section of the config.
        tokenizer: the shared tokenizer.
        hash_embedding: a layer of this tower's own, or that of another tower: then both train it.
    """

    def __init__(
        self,
        config: NgramTowerConfig,
        tokenizer: NgramTokenizer,
        hash_embedding: HashEmbedding,
        name: str = "ngram",
    ):
        super().__init__(name=name)
        self.dimension = config.dimension
        self.raw_signature = {"query": tf.TensorSpec([None], tf.string)}
        self.feature_signature = {
            "token_ids": tf.TensorSpec([None], tf.int32),
            "token_lengths": tf.TensorSpec([None, 1], tf.int32),
        }
        self.tokenizer = tokenizer
        self.hash_embedding = hash_embedding
        straight = not config.hidden and hash_embedding.dimension == config.dimension
        self.mlp = None if straight else mlp(config.hidden, config.dimension, name="mlp")

    def featurize(self, raw):
        return self.tokenizer.features([raw["query"]])

    def call(self, features, training=False):
        sums = self.hash_embedding(features["token_ids"], features["token_lengths"])[:, 0]
        return l2_normalize(sums if self.mlp is None else self.mlp(sums))


class FrozenTower(Tower):
    """Embeddings read from a table, such as PinSage for images and SearchSage for queries (ItemSage §3.1).

    `hidden: null` keeps them as they are, L2-normalised; `hidden: []` puts one linear map on top, a list an MLP: the
    compatibility encoders of OmniSearchSage §3.4.3. With `residual` a linear map that starts as the identity is added,
    so that training starts in the space of the frozen embeddings. `standardize` comes before all of them.
    """

    def __init__(self, config: FrozenTowerConfig, tokenizer=None, hash_embedding=None, name: str = "frozen"):
        super().__init__(name=name)
        self.dimension = config.dimension
        self.raw_signature = {"embedding": tf.TensorSpec([None, config.input_dimension], tf.float32)}
        self.feature_signature = self.raw_signature
        self.standardize = Standardize(config.input_dimension) if config.standardize else None
        self.mlp, self.skip = None, None
        if config.hidden is not None:
            self.mlp = mlp(config.hidden, config.dimension, "mlp", RESIDUAL_SCALE if config.residual else 1.0)
            self.skip = identity_map(config.dimension, name="skip") if config.residual else None

    def featurize(self, raw):
        return raw

    def call(self, features, training=False):
        embedding = features["embedding"]
        if self.standardize is not None:
            embedding = self.standardize(embedding)
        if self.mlp is None:
            return l2_normalize(embedding)
        embedding = rms_normalize(embedding)
        mapped = self.mlp(embedding)
        return l2_normalize(mapped if self.skip is None else mapped + self.skip(embedding))
