"""ItemSage as one writes it first in Keras: gather every token, run the whole transformer, Adam on everything."""

import keras_nlp
import tensorflow as tf
import tf_keras

from tfsage.towers.product import ItemSageTower

MASKED = -1e9


class StraightProductTower(tf_keras.Model):
    """The same function as tfsage's product tower of one layer, without any of its shortcuts.

    Every occurrence of a token is gathered from the tables, all 33 positions go through
    keras_nlp.layers.TransformerEncoder, and the tables have dense optimizer slots unless the optimizer knows better.

    Args:
        buckets_of_token: int32 [vocabulary, 2], the two rows of each token in the embedding table.
        buckets: rows of the embedding table.
        fields, slots: number of text fields and of image slots.
        size: of an image embedding and of a row of the table.
        width, heads, feed_forward, head_hidden, dimension: as in the config of the tower.
        activation: of the feed-forward part and of the head.
    """

    def __init__(
        self,
        buckets_of_token,
        buckets: int,
        fields: int = 12,
        slots: int = 20,
        size: int = 256,
        width: int = 512,
        heads: int = 8,
        feed_forward: int = 2048,
        head_hidden: int = 2048,
        dimension: int = 256,
        activation="relu",
    ):
        super().__init__()
        self.buckets_of_token = tf.constant(buckets_of_token)
        self.fields, self.slots = fields, slots
        normal = tf_keras.initializers.RandomNormal
        self.table = self.add_weight("table", [buckets, size], initializer=normal(stddev=0.06))
        self.importance = self.add_weight("importance", [len(buckets_of_token), 2], initializer=normal(stddev=1.0))
        self.cls = self.add_weight("cls", [width], initializer=normal(stddev=0.02))
        self.image_map = tf_keras.layers.Dense(width)
        self.text_map = tf_keras.layers.Dense(width)
        self.transformer = keras_nlp.layers.TransformerEncoder(feed_forward, heads, activation=activation)
        self.head = tf_keras.Sequential(
            [tf_keras.layers.Dense(head_hidden, activation=activation), tf_keras.layers.Dense(dimension)]
        )

    def call(self, features, training=False):
        lengths = features["token_lengths"]
        rows = tf.shape(lengths)[0]
        ids = features["token_ids"]
        size = self.table.shape[1]
        vectors = tf.gather(self.table, tf.gather(self.buckets_of_token, ids))
        tokens = tf.reduce_sum(vectors * tf.gather(self.importance, ids)[:, :, None], axis=1)
        owner = tf.repeat(tf.range(rows * self.fields), tf.reshape(lengths, [-1]))
        bags = tf.math.unsorted_segment_sum(tokens, owner, rows * self.fields)
        text = tf.reshape(_rms_normalize(bags), [rows, self.fields, size])
        images = tf.RaggedTensor.from_row_lengths(_rms_normalize(features["images"]), features["image_lengths"])
        images = images.to_tensor(shape=[None, self.slots, size])
        cls = tf.broadcast_to(self.cls, [rows, 1, self.cls.shape[0]])
        sequence = tf.concat([cls, self.image_map(images), self.text_map(text)], axis=1)
        output = self.head(self.transformer(sequence)[:, 0])
        return tf.math.l2_normalize(output, axis=-1)


def straight_loss(queries, embeddings, query_ids, candidate_ids, log_q, scale):
    """L_pos + L_neg of ItemSage (§3.4, eq. 2 and 3) with two plain cross-entropies: the mean over the rows, a scalar.

    The first B candidates are the positives of the rows, the others the random negatives. Other positives of a row's
    query are masked in L_pos, copies of its positive in L_neg.

    Args:
        queries: float32 [B, d], unit vectors.
        embeddings: float32 [B + N, d], unit vectors.
        query_ids: int64 [B].
        candidate_ids: int64 [B + N].
        log_q: float32 [B + N].
        scale: 1 / temperature, a scalar.
    """
    pairs = tf.shape(queries)[0]
    logits = scale * tf.matmul(queries, embeddings, transpose_b=True)
    same_query = (query_ids[:, None] == query_ids[None, :]) & ~tf.eye(pairs, dtype=tf.bool)
    in_batch = tf.where(same_query, MASKED, logits[:, :pairs] - log_q[:pairs])
    copies = candidate_ids[:pairs, None] == candidate_ids[None, pairs:]
    random = tf.concat(
        [tf.linalg.diag_part(logits[:, :pairs])[:, None], tf.where(copies, MASKED, logits[:, pairs:])], 1
    )
    in_batch = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(pairs), in_batch)
    random = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros([pairs], tf.int32), random)
    return tf.reduce_mean(in_batch + random)


def straight_twin(tower: ItemSageTower) -> StraightProductTower:
    """A straight tower of the same sizes as one of tfsage with a single layer, with copies of its weights."""
    embedding, block, head = tower.hash_embedding, tower.encoder.blocks[0], tower.head.layers
    twin = StraightProductTower(
        tf.stack(embedding.buckets_of(tf.range(embedding.vocabulary_size)), 1),
        buckets=embedding.config.buckets,
        fields=tower.encoder.capacities["text"],
        slots=tower.encoder.capacities["image"],
        size=embedding.dimension,
        width=block.width,
        heads=block.heads,
        feed_forward=block.inner.units,
        head_hidden=head[0].units,
        dimension=head[1].units,
        activation=block.inner.activation,
    )
    blank = {
        "token_ids": tf.zeros([0], tf.int32),
        "token_lengths": tf.zeros([1, twin.fields], tf.int32),
        "images": tf.zeros([0, embedding.dimension]),
        "image_lengths": tf.zeros([1], tf.int32),
    }
    tower(blank), twin(blank)
    for own, other in same_weights(tower, twin):
        # keras_nlp gives the heads an axis of their own.
        other.assign(tf.reshape(own, other.shape))
    return twin


def same_weights(tower: ItemSageTower, twin: StraightProductTower) -> list[tuple[tf.Variable, tf.Variable]]:
    """Pairs of weights that play the same part in both towers, equal up to how their axes are split."""
    encoder = tower.encoder
    parts = [
        (tower.hash_embedding.weights, [twin.table, twin.importance]),
        ([encoder.cls], [twin.cls]),
        (encoder.maps["image"].weights, twin.image_map.weights),
        (encoder.maps["text"].weights, twin.text_map.weights),
        (encoder.blocks[0].weights, twin.transformer.weights),
        (tower.head.weights, twin.head.weights),
    ]
    return [pair for own, others in parts for pair in zip(own, others, strict=True)]


def _rms_normalize(vectors):
    return vectors * tf.math.rsqrt(tf.reduce_mean(tf.square(vectors), axis=-1, keepdims=True) + 1e-6)
