"""The two towers of the TensorFlow Recommenders tutorial: ids and bags of words, in-batch softmax, nothing else."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

DIMENSION = 32
LEARNING_RATE = 0.1
_BUCKETS = 20_000


class TwoTower(tfrs.Model):
    """`tfrs.tasks.Retrieval` over two towers, with the sizes and the optimizer (Adagrad, 0.1) of the tutorial.

    A tower adds an embedding of the id (`StringLookup`; all unknown ids share one) to the mean over hashed words.
    Scores are dot products; there is no log Q correction, no temperature, and nothing is normalised.

    Args:
        query_ids, product_ids: the ids that training knows.
    """

    def __init__(self, query_ids: np.ndarray, product_ids: np.ndarray):
        super().__init__()
        self.query_tower = _IdAndWords(query_ids)
        self.product_tower = _IdAndWords(product_ids)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, features, training=False):
        queries = self.query_tower(features["query_id"], features["query_text"])
        products = self.product_tower(features["product_id"], features["product_text"])
        return self.task(queries, products, compute_metrics=False)


class _IdAndWords(tf_keras.Model):
    def __init__(self, ids: np.ndarray):
        super().__init__()
        self._lookup = tf_keras.layers.StringLookup(vocabulary=ids, mask_token=None)
        self._id_embedding = tf_keras.layers.Embedding(self._lookup.vocabulary_size(), DIMENSION)
        self._hash = tf_keras.layers.Hashing(_BUCKETS)
        self._word_embedding = tf_keras.layers.Embedding(_BUCKETS, DIMENSION)

    def call(self, ids, texts):
        words = tf.strings.split(tf.strings.lower(texts))
        vectors = self._word_embedding(self._hash(words.flat_values))
        bags = tf.math.segment_sum(vectors, words.value_rowids())
        bags = tf.pad(bags, [[0, tf.shape(texts)[0] - tf.shape(bags)[0]], [0, 0]])
        lengths = tf.cast(tf.maximum(words.row_lengths(), 1), tf.float32)
        return self._id_embedding(self._lookup(ids)) + bags / lengths[:, None]


class Rows(NamedTuple):
    """Queries or products: ids and texts, object arrays of strings [n]; a text may be empty."""

    ids: np.ndarray
    texts: np.ndarray


def train_two_tower(
    queries: Rows, products: Rows, pairs: tuple[np.ndarray, np.ndarray], steps: int, batch_size: int, seed: int
) -> TwoTower:
    """Trains on pairs of rows (query, product), drawn at random.

    Args:
        queries, products: all of them; only the ids that occur in the pairs are known to the lookups.
        pairs: int64 [n] each, rows of queries and of products.
        steps: of `batch_size` pairs.
        batch_size: the other positives of a batch are the negatives.
        seed: of the initial weights and the order of the pairs.
    """
    tf_keras.utils.set_random_seed(seed)
    query, product = pairs
    model = TwoTower(np.unique(queries.ids[query]), np.unique(products.ids[product]))
    model.compile(tf_keras.optimizers.Adagrad(LEARNING_RATE))
    rng = np.random.default_rng(seed)

    def batches():
        for _ in range(steps):
            chosen = rng.integers(len(query), size=batch_size)
            yield {
                "query_id": queries.ids[query[chosen]],
                "query_text": queries.texts[query[chosen]],
                "product_id": products.ids[product[chosen]],
                "product_text": products.texts[product[chosen]],
            }

    names = ("query_id", "query_text", "product_id", "product_text")
    signature = {name: tf.TensorSpec([batch_size], tf.string) for name in names}
    model.fit(tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2), epochs=1, verbose=0)
    return model


def embed(tower: tf_keras.Model, rows: Rows, batch_size: int = 4096) -> np.ndarray:
    """float32 [n, DIMENSION], scaled by one factor so that none is longer than 1: no order of products changes."""
    parts = []
    for start in range(0, len(rows.ids), batch_size):
        here = slice(start, start + batch_size)
        parts.append(tower(tf.constant(rows.ids[here]), tf.constant(rows.texts[here])).numpy())
    vectors = np.concatenate(parts)
    return vectors / max(1.0, np.linalg.norm(vectors, axis=1).max() * (1 + 1e-6))
