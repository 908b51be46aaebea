"""Groups of slots and a learned [CLS] through a transformer, of which only [CLS] is read (ItemSage §3.3, figure 3)."""

import tensorflow as tf
import tf_keras

from tfsage.towers.attention import EncoderBlock, attention_weights, build_layer


class ClsEncoder(tf_keras.layers.Layer):
    """One vector per row, from groups of slots such as images and text fields.

    A slot is mapped linearly to a token, with one map per group; the tokens of all groups and a learned [CLS] go
    through the transformer blocks; the output of [CLS] is returned. Nothing tells one slot of a group from another, so
    the order of slots does not matter. An empty slot is a vector of zeros, that is a token like any other: the bias of
    its group's map.

    The function is that of `keras_nlp.layers.TransformerEncoder` blocks over the whole sequence of 1 + sum(capacities)
    tokens. It is computed with less:

    - The empty slots that `call` is not given are one token with a log-count on its attention logit.
    - In the last block, only [CLS] is computed (`EncoderBlock.first_token`).
    - With a single block, no token is computed at all. [CLS] is then the same for every row, and a token is
      x = s M + m for a slot s of a group with map M, m. So the attention logit of x is linear in s, and the pooled
      token is (sum p s) M + (sum p) m: slots are scored and pooled as they come, and W_V is applied to the rows of M
      and m (the basis) in place of the tokens.

    Args:
        capacities: group name -> how many slots a row has, empty ones included.
        width, heads, feed_forward: sizes of a block, see `EncoderBlock`.
        layers: number of blocks.

    Raises:
        TfsageError: `heads` does not divide `width`.
    """

    def __init__(
        self, capacities: dict[str, int], width: int, heads: int, feed_forward: int, layers: int, name: str = "encoder"
    ):
        super().__init__(name=name)
        self.capacities = capacities
        self._width = width
        self.maps = {group: tf_keras.layers.Dense(width, name=f"{group}_map") for group in capacities}
        self.blocks = [EncoderBlock(width, heads, feed_forward, name=f"block_{i}") for i in range(layers)]

    def build(self, input_shape: dict):
        self.cls = self.add_weight("cls", [self._width], initializer=tf_keras.initializers.RandomNormal(stddev=0.02))
        for group, layer in self.maps.items():
            build_layer(layer, input_shape[group])
        for block in self.blocks:
            build_layer(block, [None, None, self._width])
        super().build(input_shape)

    def call(self, slots: dict[str, tf.Tensor]) -> tf.Tensor:
        """
        Args:
            slots: group name -> floating [rows, n, size], n <= the group's capacity; the slots left out are empty.

        Returns:
            [rows, width].
        """
        if len(self.blocks) == 1:
            return self._pool_slots(slots)
        rows = _rows(slots)
        tokens = [_repeat(self.cls[None], rows)]
        for group, layer in self.maps.items():
            tokens += [layer(slots[group]), _repeat(layer.bias[None], rows)]
        tokens, log_counts = tf.concat(tokens, 1), tf.math.log(self._counts(slots))
        for block in self.blocks[:-1]:
            tokens = block(tokens, log_counts)
        return self.blocks[-1].first_token(tokens, log_counts)

    def _pool_slots(self, slots: dict[str, tf.Tensor]) -> tf.Tensor:
        """The only block, from the slots themselves."""
        block, cls, rows = self.blocks[0], self.cls[None], _rows(slots)
        directions, offsets = block.fold_query(cls[None])
        directions = tf.transpose(directions[0])

        logits, sizes = [_repeat(tf.matmul(cls, directions), rows)], [1]
        for group, layer in self.maps.items():
            of_empty = tf.matmul(layer.bias[None], directions)
            of_slots = tf.matmul(slots[group], tf.matmul(layer.kernel, directions)) + of_empty
            logits += [of_slots, _repeat(of_empty, rows)]
            sizes += [tf.shape(of_slots)[1], 1]
        logits = tf.transpose(tf.concat(logits, 1) + offsets, [0, 2, 1])
        weights = attention_weights(logits, tf.math.log(self._counts(slots)))

        # The pooled token, as coordinates and the vectors (the basis) that they belong to.
        of_cls, *of_groups = tf.split(weights, sizes, axis=2)
        pooled, basis = [of_cls], [cls]
        for (group, layer), of_slots, of_empty in zip(self.maps.items(), of_groups[::2], of_groups[1::2], strict=True):
            pooled += [tf.matmul(of_slots, slots[group]), tf.reduce_sum(of_slots, 2, keepdims=True) + of_empty]
            basis += [layer.kernel, layer.bias[None]]
        values = tf.matmul(tf.concat(basis, 0), block.value.kernel)
        return block.read(cls[None], tf.concat(pooled, 2), values)

    def _counts(self, slots: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 [tokens]: how many tokens each one stands for: [CLS], a group's slots, its slots left out, ..."""
        counts = [[1.0]]
        for group, capacity in self.capacities.items():
            given = tf.shape(slots[group])[1]
            counts += [tf.ones([given]), [tf.cast(capacity - given, tf.float32)]]
        return tf.concat(counts, 0)


def _rows(slots: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.shape(next(iter(slots.values())))[0]


def _repeat(vector: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """[1, size] -> [rows, 1, size]."""
    return tf.broadcast_to(vector, [rows, 1, tf.shape(vector)[1]])
