"""The transformer block, and a short cut through it when only the first token is read (ItemSage §3.3)."""

import tensorflow as tf
import tf_keras

from tfsage.errors import TfsageError

_EPSILON = 1e-5


class EncoderBlock(tf_keras.layers.Layer):
    """One post-norm transformer block: x = LN(x + MHA(x)), then x = LN(x + FFN(x)).

    The same function as `keras_nlp.layers.TransformerEncoder` at its defaults (ReLU, epsilon 1e-5, no dropout), with
    the same weights in the same order; only the head axes of the attention weights are flattened, so that every kernel
    is a matrix and Glorot initialization sees its true fans.

    A token may stand for several identical ones: `log_counts` is added to its attention logits, and since
    exp(logit + log c) = c exp(logit), this is the attention over all c copies.

    `call` returns every token. `first_token` returns what `call` returns for token 0, and costs a fraction of it: no
    key or value is computed. With q the query of token 0 in one head,

        q . (W_K x_j + b_K)          = (W_K^T q) . x_j + q . b_K        (logits: one direction per head)
        sum_j p_j (W_V x_j + b_V)    = W_V (sum_j p_j x_j) + b_V        (values: of the pooled token only)

    Its parts, `fold_query` and `read`, let a caller fold further, when the tokens themselves are linear in something
    smaller.

    Args:
        width: size of a token.
        heads: attention heads; must divide `width`.
        feed_forward: hidden units of the feed-forward part.

    Raises:
        TfsageError: `heads` does not divide `width`.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, name: str | None = None):
        super().__init__(name=name)
        if width % heads:
            raise TfsageError(f"width {width} is not a multiple of heads {heads}; change one of them")
        self.width, self.heads, self.head_width = width, heads, width // heads
        self.query = tf_keras.layers.Dense(width, name="query")
        self.key = tf_keras.layers.Dense(width, name="key")
        self.value = tf_keras.layers.Dense(width, name="value")
        self.attended = tf_keras.layers.Dense(width, name="attended")
        self.attention_norm = tf_keras.layers.LayerNormalization(epsilon=_EPSILON, name="attention_norm")
        self.feed_forward_norm = tf_keras.layers.LayerNormalization(epsilon=_EPSILON, name="feed_forward_norm")
        self.inner = tf_keras.layers.Dense(feed_forward, activation="relu", name="inner")
        self.outer = tf_keras.layers.Dense(width, name="outer")

    def build(self, input_shape):
        for layer in (self.query, self.key, self.value, self.attended, self.attention_norm, self.feed_forward_norm):
            build_layer(layer, [None, None, self.width])
        build_layer(self.inner, [None, None, self.width])
        build_layer(self.outer, [None, None, self.inner.units])
        super().build(input_shape)

    def call(self, tokens: tf.Tensor, log_counts: tf.Tensor) -> tf.Tensor:
        """
        Args:
            tokens: floating [rows, tokens, width].
            log_counts: float32 [tokens]: log of how many tokens each one stands for; -inf for none at all.

        Returns:
            [rows, tokens, width].
        """
        query = self._split(self.query(tokens) * self.head_width**-0.5)
        logits = tf.matmul(query, self._split(self.key(tokens)), transpose_b=True)
        values = tf.matmul(attention_weights(logits, log_counts), self._split(self.value(tokens)))
        values = tf.transpose(values, [0, 2, 1, 3])
        return self._after_attention(tokens, tf.reshape(values, tf.shape(tokens)))

    def first_token(self, tokens: tf.Tensor, log_counts: tf.Tensor) -> tf.Tensor:
        """[rows, width]: `call(tokens, log_counts)[:, 0]`, without computing the rest."""
        first = tokens[:, :1]
        directions, offsets = self.fold_query(first)
        logits = tf.matmul(directions, tokens, transpose_b=True) + offsets[:, :, None]
        pooled = tf.matmul(attention_weights(logits, log_counts), tokens)
        return self.read(first, pooled, self.value.kernel)

    def fold_query(self, first: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What a token x is scored with: its attention logit in head h is directions[h] . x + offsets[h].

        The offset is the same for every token, so softmax ignores it and b_K has gradient zero. It is kept, at next
        to no cost, so that b_K has a gradient at all, as in any other transformer.

        Args:
            first: floating [rows, 1, width], the token that asks; one row if it is the same for all.

        Returns:
            directions [rows, heads, width] and offsets [rows, heads].
        """
        query = tf.reshape(self.query(first) * self.head_width**-0.5, [-1, self.heads, self.head_width])
        kernel = tf.reshape(self.key.kernel, [self.width, self.heads, self.head_width])
        bias = tf.reshape(self.key.bias, [self.heads, self.head_width])
        return tf.einsum("rhd,whd->rhw", query, kernel), tf.reduce_sum(query * bias, -1)

    def read(self, first: tf.Tensor, pooled: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """The block's output for the token that asked.

        Args:
            first: floating [rows or 1, 1, width], that token before the block.
            pooled: [rows, heads, size]: per head, the attention-weighted sum of the tokens' coordinates.
            values: [size, width]: the kernel of W_V in those coordinates.

        Returns:
            [rows, width].
        """
        values = tf.reshape(values, [-1, self.heads, self.head_width])
        attended = tf.einsum("rhs,shd->rhd", pooled, values)
        attended = tf.reshape(attended, [-1, 1, self.width]) + self.value.bias
        return self._after_attention(first, attended)[:, 0]

    def _split(self, tokens: tf.Tensor) -> tf.Tensor:
        """[rows, tokens, width] -> [rows, heads, tokens, head_width]."""
        rows, count = tf.shape(tokens)[0], tf.shape(tokens)[1]
        return tf.transpose(tf.reshape(tokens, [rows, count, self.heads, self.head_width]), [0, 2, 1, 3])

    def _after_attention(self, tokens: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        tokens = self.attention_norm(tokens + self.attended(values))
        return self.feed_forward_norm(tokens + self.outer(self.inner(tokens)))


def attention_weights(logits: tf.Tensor, log_counts: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis, in float32 whatever the precision; the result has the type of `logits`.

    Args:
        logits: floating [..., tokens].
        log_counts: float32 [tokens], see `EncoderBlock`.
    """
    return tf.cast(tf.nn.softmax(tf.cast(logits, tf.float32) + log_counts), logits.dtype)


def build_layer(layer: tf_keras.layers.Layer, input_shape) -> None:
    """Makes the variables of a layer whose `call` may never run, under its own name."""
    with tf.name_scope(layer.name):
        layer.build(input_shape)
