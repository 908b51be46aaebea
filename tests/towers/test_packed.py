import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras_nlp.models import DistilBertBackbone

from tfsage.towers.packed import encode_cls

LENGTHS = (5, 1, 9, 3)


def make_backbone(layers: int) -> DistilBertBackbone:
    tf_keras.utils.set_random_seed(1)
    backbone = DistilBertBackbone(
        vocabulary_size=40,
        num_layers=layers,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        dropout=0.0,
        max_sequence_length=12,
    )
    # As they begin, biases are zero and norms do nothing: a bias left out would not be seen.
    for variable in backbone.trainable_variables:
        variable.assign(variable + tf.random.normal(variable.shape, stddev=0.5))
    return backbone


def batch(padding: int = 0) -> dict[str, tf.Tensor]:
    ids = np.random.default_rng(2).integers(1, 40, (len(LENGTHS), max(LENGTHS) + padding))
    mask = np.arange(max(LENGTHS) + padding) < np.array(LENGTHS)[:, None]
    return {"token_ids": tf.constant(ids, tf.int32), "padding_mask": tf.constant(mask, tf.int32)}


@pytest.mark.parametrize("layers", [1, 3])
def test_it_is_the_backbone_at_cls_with_every_gradient(layers):
    backbone, features = make_backbone(layers), batch()
    weights = tf.random.normal([len(LENGTHS), 8])
    found = []
    for encode in (lambda f: encode_cls(backbone, f, training=False), lambda f: backbone(f, training=False)[:, 0]):
        with tf.GradientTape() as tape:
            output = tf.function(encode)(features)
            loss = tf.reduce_sum(weights * output)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, backbone.trainable_variables)]
        found.append([output, *gradients])
    for variable, ours, own in zip(["output", *(v.name for v in backbone.trainable_variables)], *found, strict=True):
        np.testing.assert_allclose(ours, own, rtol=1e-4, atol=1e-4, err_msg=variable)


def test_padding_changes_nothing():
    """Neither more of it, nor what ids stand there."""
    backbone = make_backbone(2)
    wide = batch(padding=3)
    narrow = {name: value[:, : max(LENGTHS)] for name, value in wide.items()}
    np.testing.assert_allclose(encode_cls(backbone, wide, False), encode_cls(backbone, narrow, False), atol=1e-5)
    other = narrow | {"token_ids": tf.where(narrow["padding_mask"] == 1, narrow["token_ids"], 7)}
    np.testing.assert_allclose(encode_cls(backbone, other, False), encode_cls(backbone, narrow, False), atol=1e-5)


def test_without_rows():
    empty = {name: value[:0] for name, value in batch().items()}
    assert encode_cls(make_backbone(2), empty, training=False).shape == (0, 8)
