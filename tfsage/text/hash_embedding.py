"""Two-way hash embedding of tokens, summed per bag (ItemSage §3.3; Svenstrup et al., NIPS 2017)."""

import numpy as np
import tensorflow as tf
import tf_keras

from tfsage.config import HashEmbeddingConfig
from tfsage.errors import TfsageError
from tfsage.text.bags import bag_of_position, bag_sum, weighted_pairs
from tfsage.text.splitmix import splitmix64
from tfsage.variables import read_rows


class HashEmbedding(tf_keras.layers.Layer):
    """v(token) = W[token, 0] E[h1(token)] + W[token, 1] E[h2(token)]; a bag's vector is the sum over its tokens.

    h1 and h2 are seeded hashes with h1 != h2, computed in the graph from the token id: nothing is stored for them.
    Each distinct token of a batch is computed once, so that the cost follows the distinct tokens; the gradients of E
    and W are `tf.IndexedSlices` with distinct indices.

    Initially E ~ N(0, 1 / (2 dimension)), so that an importance of (1, 1) in absolute value makes a unit vector.
    W ~ N(0, 1) for `importance: normal`. For `importance: idf` the direction of W[token] is as random, and its norm is
    sqrt(2) idf(token) / mean(idf), so that a token's vector is about as long as its idf; for `sqrt_idf` the same with
    sqrt(idf). All are then multiplied by `bigram_scale` and `character_scale` for tokens of those kinds. Embeddings
    with the same vocabulary and config start equal. Everything is float32, also under mixed precision: a sum of
    hundreds of tokens needs it.

    Attributes:
        table: E, float32 [buckets, dimension].
        importance: W, float32 [vocabulary_size, 2].
        dimension: size of the vectors.
    """

    def __init__(
        self,
        vocabulary_size: int,
        config: HashEmbeddingConfig,
        idf: np.ndarray | None = None,
        kind_sizes: tuple[int, int, int] | None = None,
        name: str = "hash_embedding",
    ):
        """
        Args:
            vocabulary_size: number of token ids.
            config: sizes, seed and how W starts.
            idf: float [vocabulary_size], for `importance: idf` and `sqrt_idf`.
            kind_sizes: how many ids are unigrams, bigrams and character n-grams, in this order; all unigrams if None.

        Raises:
            TfsageError: fewer than 2 buckets, or `importance: idf` or `sqrt_idf` without idf.
        """
        super().__init__(name=name, dtype="float32")
        if config.buckets < 2:
            raise TfsageError("hash_embedding.buckets: two different buckets per token need at least 2 buckets, got 1")
        if config.importance != "normal" and idf is None:
            raise TfsageError(
                f"hash_embedding.importance: {config.importance!r} needs the document frequencies of a vocabulary"
            )
        self.vocabulary_size = vocabulary_size
        self.config = config
        self.dimension = config.dimension
        importance = _initial_importance(vocabulary_size, config, idf, kind_sizes or (vocabulary_size, 0, 0))
        self.table = self.add_weight(
            name="table",
            shape=(config.buckets, config.dimension),
            initializer=tf_keras.initializers.RandomNormal(stddev=(2 * config.dimension) ** -0.5, seed=config.seed),
        )
        self.importance = self.add_weight(
            name="importance", shape=importance.shape, initializer=lambda *_, **__: tf.constant(importance)
        )
        self.built = True

    @classmethod
    def for_vocabulary(cls, vocabulary, config: HashEmbeddingConfig, name: str = "hash_embedding") -> "HashEmbedding":
        """The embedding of the token ids of a `tfsage.text.vocabulary.Vocabulary`."""
        idf = None if config.importance == "normal" else vocabulary.idf()
        return cls(vocabulary.size, config, idf=idf, kind_sizes=vocabulary.kind_sizes, name=name)

    def buckets_of(self, token_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """h1 and h2 of int32 token ids, each int32 in [0, buckets) and never equal."""
        keys = tf.cast(token_ids, tf.uint64)
        buckets = tf.constant(self.config.buckets, tf.uint64)
        first = tf.cast(splitmix64(keys + self._stream(1)) % buckets, tf.int32)
        # One of the other buckets - 1, stepping over h1.
        second = tf.cast(splitmix64(keys + self._stream(2)) % (buckets - 1), tf.int32)
        return first, second + tf.cast(second >= first, tf.int32)

    def _stream(self, number: int) -> tf.Tensor:
        """Where the ids of one hash function start among the 2^64 inputs of splitmix64; far apart for any seeds."""
        return splitmix64(splitmix64(tf.constant(self.config.seed % 2**64, tf.uint64)) + tf.constant(number, tf.uint64))

    def token_vectors(self, token_ids: tf.Tensor) -> tf.Tensor:
        """v(token): float32 [tokens, dimension] for int32 [tokens]."""
        buckets = tf.stack(self.buckets_of(token_ids), 1)
        rows, places = tf.unique(tf.reshape(buckets, [-1]))
        weights = read_rows(self.importance, token_ids)
        return weighted_pairs(read_rows(self.table, rows), tf.reshape(places, [-1, 2]), weights)

    def call(self, token_ids: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """
        Args:
            token_ids: int32 [tokens], bag after bag.
            lengths: int32 [...], tokens per bag in row-major order, such as [rows, fields]; sum(lengths) = tokens.

        Returns:
            float32 [..., dimension]: one vector per bag; zero for a bag without tokens.
        """
        distinct, indices = tf.unique(token_ids)
        bags = bag_of_position(tf.reshape(lengths, [-1]), tf.size(token_ids))
        sums = bag_sum(self.token_vectors(distinct), indices, bags, tf.size(lengths))
        return tf.reshape(sums, tf.concat([tf.shape(lengths), [self.dimension]], 0))


def _initial_importance(size: int, config: HashEmbeddingConfig, idf, kind_sizes) -> np.ndarray:
    """W at the start: float32 [size, 2]."""
    weights = np.random.default_rng(config.seed).standard_normal((size, 2), np.float32)
    if config.importance != "normal":
        lengths = idf if config.importance == "idf" else np.sqrt(idf)
        scale = np.sqrt(2.0) * lengths / np.mean(lengths) / np.linalg.norm(weights, axis=1)
        weights *= scale.astype(np.float32)[:, None]
    weights *= np.repeat(np.float32([1.0, config.bigram_scale, config.character_scale]), kind_sizes)[:, None]
    return weights
