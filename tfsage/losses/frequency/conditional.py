"""How often the positive of a query is this one."""

import tensorflow as tf

from tfsage.losses.frequency.cells import integer_ids, mixer_seeds
from tfsage.losses.frequency.count_min import CountMinSketch
from tfsage.losses.frequency.counters import Decay, Windows
from tfsage.text.splitmix import splitmix64


class ConditionalFrequency(tf.Module):
    """C(query, id) / C(query), from a sketch of the pairs and one of the queries.

    It is what OmniSearchSage (Pinterest, 2024) corrects the positive by, in place of its frequency among all
    positives. A query that was seen once leaves its positive uncorrected: its ratio is 1.

    Args:
        width, depth, conservative, aging: of both sketches, see `CountMinSketch`. Pairs are many: to have the ratio
            of a query seen c times within a share of r takes a width of about e · pairs / (r · c).
        seed: of the hash functions and of the key of a pair; they are kept in the checkpoint.

    >>> frequency = ConditionalFrequency(width=1000)
    >>> frequency.update(tf.constant([1, 1, 1, 2]), tf.constant([7, 7, 8, 7]))
    >>> [round(float(value), 4) for value in frequency.log_q(tf.constant([1, 1, 2]), tf.constant([7, 8, 7]))]
    [-0.4055, -1.0986, 0.0]
    """

    def __init__(
        self,
        width: int = 1 << 20,
        depth: int = 4,
        conservative: bool = True,
        aging: Decay | Windows | None = None,
        seed: int = 0,
        name: str = "conditional_frequency",
    ):
        super().__init__(name=name)
        self._seed = mixer_seeds(1, seed)
        self._pairs = CountMinSketch(width, depth, conservative, aging, seed, name="pairs")
        self._queries = CountMinSketch(width, depth, conservative, aging, seed, name="queries")

    def update(self, query_ids: tf.Tensor, ids: tf.Tensor) -> None:
        """Counts a batch of pairs, the ids of both [n], integers or strings; the cost follows n."""
        self._pairs.update(self.pair_keys(query_ids, ids))
        self._queries.update(query_ids)

    def log_q(self, query_ids: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """log(C(query, id) / C(query)), at most zero; a pair that was never counted gets that of one observation.

        Args:
            query_ids: [n].
            ids: [n].

        Returns:
            float32 [n].
        """
        pairs = self._pairs.count(self.pair_keys(query_ids, ids))
        pairs = tf.where(pairs > 0.0, pairs, 1.0)
        # The two sketches err on their own: the estimate of a pair may exceed that of its query.
        queries = tf.maximum(self._queries.count(query_ids), pairs)
        return tf.cast(tf.math.log(pairs / queries), tf.float32)

    def pair_keys(self, query_ids: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """A 64-bit key of each pair, int64 [n], mixed from both ids: no two small pairs share one by arithmetic."""
        queries, entities = (tf.bitcast(integer_ids(part), tf.uint64) for part in (query_ids, ids))
        mixed = splitmix64(queries + tf.bitcast(self._seed, tf.uint64))
        return tf.bitcast(splitmix64(tf.bitwise.bitwise_xor(mixed, splitmix64(entities))), tf.int64)
