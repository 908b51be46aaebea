"""The compatibility encoders of OmniSearchSage (2024, §3.4.3); SearchSage has no others beside its query tower."""

from tfsage.config import CompatibilityTowerConfig
from tfsage.towers.content import ContentTower
from tfsage.towers.mlp import mlp
from tfsage.towers.normalize import l2_normalize


class CompatibilityTower(ContentTower):
    """A frozen embedding of an entity, such as PinSage of a pin or ItemSage of a product; L2.

    Trained against it, query embeddings can be compared with an index of the frozen embeddings that is already there.
    `hidden: null` is the identity and has no parameters; `hidden: []` puts one linear map on top, a list an MLP, and
    the index then holds what these make of the embeddings. Without a map an entity that has no embedding is the
    constant vector 1/sqrt(dimension), as any empty entity.

    Args:
        config: its section of the config.
        tokenizer, hash_embedding: not used; every tower is built from the same three.
    """

    def __init__(
        self, config: CompatibilityTowerConfig, tokenizer=None, hash_embedding=None, name: str = "compatibility"
    ):
        super().__init__((), None, config.dimension, None, None, name, config.embeddings)
        self.mlp = None if config.hidden is None else mlp(config.hidden, config.dimension, name="mlp")

    def call(self, features, training=False):
        if self.mlp is None:
            return l2_normalize(features["vectors"])
        return l2_normalize(self.mlp(self.embedding_parts(features)[0]))
