"""Small products for the tests of product towers."""

import numpy as np

from tfsage.config import HashEmbeddingConfig, ImageConfig, TextConfig
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.text.vocabulary import Vocabulary

WORDS = ["walnut", "desk", "mid", "century", "oak", "chair", "brass", "lamp", "red", "wool", "rug", "acme"]
FIELDS = ("title", "brand", "colors")
SIZE = 8
"""Of an image embedding, and of the hash embedding."""

IMAGES = ImageConfig(slots=4, dimension=SIZE)
HASH = HashEmbeddingConfig(buckets=50, dimension=SIZE, seed=5)


def text_layers() -> dict:
    """A tokenizer and a hash embedding over `WORDS`, as keyword arguments of a tower."""
    tokens = {"unigrams": WORDS, "bigrams": ["walnut_desk"], "character_ngrams": ["_re", "ed_"]}
    counts = np.ones(sum(map(len, tokens.values())), np.int64)
    vocabulary = Vocabulary(TextConfig(), tokens, counts, counts, 10)
    return {
        "tokenizer": NgramTokenizer(vocabulary, TextConfig()),
        "hash_embedding": HashEmbedding.for_vocabulary(vocabulary, HASH),
    }


def products(text: bool = True, images: bool = True) -> dict[str, np.ndarray]:
    """Raw inputs of four products with 0 to 3 images between absent ones, and empty fields."""
    raw = {}
    if text:
        raw["title"] = np.array(["Walnut desk", "mid-century oak chair, oak oak oak", "", "brass lamp"], object)
        raw["brand"] = np.array(["Acme", "", "wool", ""], object)
        raw["colors"] = np.array(["", "red", "red", "nothing known"], object)
    if images:
        values = np.random.default_rng(3).standard_normal((4, 4, SIZE)).astype(np.float32)
        present = np.array([[0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 1, 0], [text is False, 0, 0, 0]])
        raw["image_embeddings"] = values * present[:, :, None].astype(np.float32)
    return raw


def randomize(weights, seed: int = 0, scale: float = 0.3) -> None:
    """Adds noise to every weight, so that biases are not zero and attention is far from uniform."""
    rng = np.random.default_rng(seed)
    for weight in weights:
        weight.assign_add(scale * rng.standard_normal(weight.shape).astype(np.float32))
