"""DistilBERT's output at [CLS] without the work that it does not need: on padding, and in the last block."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras
from keras_nlp.layers import TransformerEncoder
from keras_nlp.models import DistilBertBackbone


def encode_cls(backbone: DistilBertBackbone, features: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
    """What `backbone(features)[:, 0]` computes, by its own layers, with less work.

    Queries are short and their lengths differ: in a batch as long as its longest query, half of the places and more
    are padding. So the tokens of all queries stand one after the other, [1, tokens, width], for all that looks at one
    token at a time, which is nearly all there is to compute; only the attention itself sees rows of equal length. And
    the last block is computed for [CLS] alone, its keys and values aside.

    Args:
        backbone: of keras-nlp.
        features: token_ids int32 [rows, length], and padding_mask int32 [rows, length], 1 at tokens; the first place
            of every row is a token.
        training: whether dropout is on.

    Returns:
        [rows, width], of the backbone's compute type.
    """
    mask = tf.cast(features["padding_mask"], tf.bool)
    shape = tf.shape(mask, tf.int64)
    places = _Places(tf.where(mask), shape)
    tokens = tf.gather_nd(backbone.embeddings(features["token_ids"]), places.indices)[None]
    tokens = backbone.embeddings_dropout(backbone.embeddings_layer_norm(tokens), training=training)
    *blocks, last = backbone.transformer_layers
    for block in blocks:
        tokens = _block(block, tokens, places, tokens, places, mask, training)
    first = tf.where(places.indices[:, 1] == 0)[:, 0]
    firsts = _Places(tf.gather(places.indices, first), tf.stack([shape[0], 1]))
    return _block(last, tf.gather(tokens, first, axis=1), firsts, tokens, places, mask, training)[0]


class _Places(NamedTuple):
    """Where tokens stand in a dense batch: (row, column) of each, int64 [tokens, 2], and its shape, int64 [2]."""

    indices: tf.Tensor
    shape: tf.Tensor


def _block(
    block: TransformerEncoder,
    asking: tf.Tensor,
    asking_places: _Places,
    tokens: tf.Tensor,
    places: _Places,
    mask: tf.Tensor,
    training: bool,
) -> tf.Tensor:
    """A block's output [1, asking, width] for the tokens that ask, which attend to all tokens of their row."""
    attention = block._self_attention_layer
    query = _spread(attention._query_dense, asking, asking_places)
    key = _spread(attention._key_dense, tokens, places)
    value = _spread(attention._value_dense, tokens, places)
    attended, _ = attention._compute_attention(query, key, value, mask[:, None, :], training)
    attended = _multiply(attention._output_dense, tf.gather_nd(attended, asking_places.indices))
    attended = block._self_attention_dropout(attended, training=training)
    attended = block._self_attention_layer_norm(attended + asking)
    fed = _multiply(block._feedforward_output_dense, _multiply(block._feedforward_intermediate_dense, attended))
    fed = block._feedforward_dropout(fed, training=training)
    return block._feedforward_layer_norm(fed + attended)


def _spread(dense: tf_keras.layers.EinsumDense, tokens: tf.Tensor, places: _Places) -> tf.Tensor:
    """The tokens' heads [rows, columns, heads, width of a head], zeros where there is no token."""
    heads = _multiply(dense, tokens)[0]
    return tf.scatter_nd(places.indices, heads, tf.concat([places.shape, tf.shape(heads, tf.int64)[1:]], 0))


def _multiply(dense: tf_keras.layers.Dense | tf_keras.layers.EinsumDense, inputs: tf.Tensor) -> tf.Tensor:
    """What the layer makes of inputs [1, tokens, ...], of which it sums over all axes but the first two.

    For a single query, reading the matrices is nearly all there is to do, and a plain product reads them fastest:
    `EinsumDense` is an einsum, and TensorFlow's product that adds the bias at once first brings the matrix into another
    order, every time. The reshape in between keeps product and bias apart.
    """
    kernel, bias = (tf.cast(weight, inputs.dtype) for weight in (dense.kernel, dense.bias))
    matrix = tf.reshape(kernel, [-1, int(np.prod(bias.shape))])
    product = tf.matmul(tf.reshape(inputs, [-1, matrix.shape[0]]), matrix)
    return dense.activation(tf.reshape(product, [1, -1, *bias.shape]) + bias)
