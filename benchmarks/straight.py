"""ItemSage as one writes it first in Keras: gather every token, run the whole transformer, Adam on everything."""

import keras_nlp
import tensorflow as tf
import tf_keras


class StraightProductTower(tf_keras.Model):
    """The same function as tfsage's product tower of one layer, without any of its shortcuts.

    Every occurrence of a token is gathered from the tables, all 33 positions go through
    keras_nlp.layers.TransformerEncoder, and the tables have dense optimizer slots.

    Args:
        buckets_of_token: int32 [vocabulary, 2], the two rows of each token in the embedding table.
        buckets: rows of the embedding table.
        fields, slots: number of text fields and of image slots.
    """

    def __init__(self, buckets_of_token, buckets: int, fields: int = 12, slots: int = 20, width: int = 512):
        super().__init__()
        self._buckets_of_token = tf.constant(buckets_of_token)
        self._fields, self._slots = fields, slots
        normal = tf_keras.initializers.RandomNormal
        self._table = self.add_weight("table", [buckets, 256], initializer=normal(stddev=0.06))
        self._importance = self.add_weight("importance", [len(buckets_of_token), 2], initializer=normal(stddev=1.0))
        self._cls = self.add_weight("cls", [width], initializer=normal(stddev=0.02))
        self._image_map = tf_keras.layers.Dense(width)
        self._text_map = tf_keras.layers.Dense(width)
        self._transformer = keras_nlp.layers.TransformerEncoder(4 * width, num_heads=8)
        self._head = tf_keras.Sequential(
            [tf_keras.layers.Dense(4 * width, activation="relu"), tf_keras.layers.Dense(256)]
        )

    def call(self, features, training=False):
        lengths = features["token_lengths"]
        rows = tf.shape(lengths)[0]
        ids = features["token_ids"]
        vectors = tf.gather(self._table, tf.gather(self._buckets_of_token, ids))
        tokens = tf.reduce_sum(vectors * tf.gather(self._importance, ids)[:, :, None], axis=1)
        owner = tf.repeat(tf.range(rows * self._fields), tf.reshape(lengths, [-1]))
        bags = tf.math.unsorted_segment_sum(tokens, owner, rows * self._fields)
        text = tf.reshape(_rms_normalize(bags), [rows, self._fields, 256])
        images = tf.RaggedTensor.from_row_lengths(_rms_normalize(features["images"]), features["image_lengths"])
        images = images.to_tensor(shape=[None, self._slots, 256])
        cls = tf.broadcast_to(self._cls, [rows, 1, self._cls.shape[0]])
        sequence = tf.concat([cls, self._image_map(images), self._text_map(text)], axis=1)
        output = self._head(self._transformer(sequence)[:, 0])
        return tf.math.l2_normalize(output, axis=-1)


def _rms_normalize(vectors):
    return vectors * tf.math.rsqrt(tf.reduce_mean(tf.square(vectors), axis=-1, keepdims=True) + 1e-6)
