"""How many parameters a product tower has, found by building it."""

import tensorflow as tf

from tfsage.text.hash_embedding import HashEmbedding
from tfsage.towers.factory import TOWERS

PAPER_TOKENS = 1_264_000
"""Size of the paper's vocabulary (ItemSage §3.2): 200,000 unigrams, 1,000,000 bigrams, 64,000 character trigrams."""


def count_parameters(section, tokens: int) -> int:
    """The parameters of a product tower.

    Args:
        section: the tower's section of the config.
        tokens: size of the vocabulary.
    """
    embedding = None
    if getattr(section, "text_fields", ()):
        embedding = HashEmbedding(tokens, section.hash_embedding)
    tower = TOWERS[section.kind](section, None, embedding, name="counted")
    tower(_one_empty_product(tower))
    return tower.count_params()


def _one_empty_product(tower) -> dict[str, tf.Tensor]:
    """Features of one product with nothing in it, which make the tower build its variables."""

    def empty(spec: tf.TensorSpec, name: str) -> tf.Tensor:
        rows = 1 if name.endswith("_lengths") or name == "vectors" else 0
        return tf.zeros([rows, *spec.shape[1:]], spec.dtype)

    return {name: empty(spec, name) for name, spec in tower.feature_signature.items()}
