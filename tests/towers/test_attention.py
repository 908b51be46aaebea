import keras_nlp
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.attention import copy_weights
from tests.towers.products import randomize
from tfsage.errors import TfsageError
from tfsage.towers.attention import EncoderBlock

WIDTH, HEADS, TOKENS = 16, 4, 5


@pytest.fixture
def tokens():
    return tf.constant(np.random.default_rng(1).standard_normal((3, TOKENS, WIDTH)), tf.float32)


@pytest.fixture
def block(tokens):
    block = EncoderBlock(WIDTH, HEADS, 32)
    block(tokens, tf.zeros([TOKENS]))
    randomize(block.weights)
    return block


def test_block_is_the_transformer_encoder_of_keras_nlp(block, tokens):
    straight = keras_nlp.layers.TransformerEncoder(32, HEADS)
    straight(tokens)
    copy_weights(block, straight)
    np.testing.assert_allclose(block(tokens, tf.zeros([TOKENS])), straight(tokens), atol=1e-5)


def test_first_token_is_the_first_of_all_tokens(block, tokens):
    counts = tf.math.log([1.0, 2.0, 1.0, 0.0, 7.0])
    np.testing.assert_allclose(block.first_token(tokens, counts), block(tokens, counts)[:, 0], atol=1e-5)


def test_a_count_stands_for_that_many_equal_tokens(block, tokens):
    repeated = tf.gather(tokens, [0, 1, 1, 1, 3, 4], axis=1)
    expected = block(repeated, tf.zeros([6]))
    counted = block(tokens, tf.math.log([1.0, 3.0, 0.0, 1.0, 1.0]))
    np.testing.assert_allclose(
        tf.gather(counted, [0, 1, 3, 4], axis=1), tf.gather(expected, [0, 1, 4, 5], axis=1), atol=1e-5
    )


def test_a_token_that_stands_for_none_leaves_gradients_finite(block, tokens):
    with tf.GradientTape() as tape:
        tape.watch(tokens)
        output = block.first_token(tokens, tf.math.log([1.0, 1.0, 1.0, 1.0, 0.0]))
    gradient = tape.gradient(output, tokens, output_gradients=tf.cumsum(tf.ones_like(output), 1)).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[:, 4] == 0).all()
    assert (np.abs(gradient[:, :4]).max(axis=(0, 2)) > 1e-3).all()


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(TfsageError, match="16.*3"):
        EncoderBlock(16, 3, 32)
