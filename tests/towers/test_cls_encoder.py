import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from benchmarks.attention import StraightEncoder, copy_weights
from tests.towers.products import randomize
from tfsage.towers.cls_encoder import ClsEncoder

CAPACITIES = {"image": 5, "text": 3}
ROWS, WIDTH = 4, 16


def build(layers: int, slots: dict, capacities=CAPACITIES):
    tf_keras.utils.set_random_seed(1)
    sizes = {"width": WIDTH, "heads": 4, "feed_forward": 24, "layers": layers}
    encoder, straight = ClsEncoder(capacities, **sizes), StraightEncoder(capacities, **sizes)
    encoder(slots)
    straight(slots)
    randomize(encoder.weights)
    copy_weights(encoder, straight)
    return encoder, straight


def random_slots(images: int = 5) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(2)
    shapes = {"image": (ROWS, images, 6), "text": (ROWS, 3, 10)}
    return {group: tf.constant(rng.standard_normal(shape), tf.float32) for group, shape in shapes.items()}


def value_and_gradients(layer, slots: dict[str, tf.Tensor]):
    inputs = [slots[group] for group in sorted(slots)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = layer(slots)
    upstream = tf.random.stateless_normal(output.shape, [3, 4])
    names = sorted(slots) + [weight.name for weight in layer.trainable_weights]
    gradients = tape.gradient(output, [*inputs, *layer.trainable_weights], output_gradients=upstream)
    return output.numpy(), names, [gradient.numpy().ravel() for gradient in gradients]


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_equals_the_whole_sequence_through_keras_nlp(layers):
    slots = random_slots()
    encoder, straight = build(layers, slots)
    value, names, gradients = value_and_gradients(encoder, slots)
    expected, _, expected_gradients = value_and_gradients(straight, slots)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    for name, ours, theirs in zip(names, gradients, expected_gradients, strict=True):
        largest = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(largest, 1.0), err_msg=name)
        assert largest > 0.001 or "key/bias" in name, f"{name}: nothing was compared"


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("images", [0, 2])
def test_slots_left_out_are_slots_of_zeros(layers, images):
    few = random_slots(images)
    full = {**few, "image": tf.pad(few["image"], [[0, 0], [0, 5 - images], [0, 0]])}
    encoder, straight = build(layers, full)
    value, names, gradients = value_and_gradients(encoder, few)
    expected, _, expected_gradients = value_and_gradients(straight, full)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    for name, ours, theirs in list(zip(names, gradients, expected_gradients, strict=True))[1:]:
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(np.abs(theirs).max(), 1.0), err_msg=name)


@pytest.mark.parametrize("layers", [1, 2])
def test_order_of_slots_does_not_matter_but_their_group_does(layers):
    slots = random_slots()
    slots["text"] = slots["text"][:, :, :6]
    encoder, _ = build(layers, slots)
    value = encoder(slots)
    shuffled = {group: tf.reverse(part, [1]) for group, part in slots.items()}
    np.testing.assert_allclose(encoder(shuffled), value, atol=1e-5)
    swapped = {"image": tf.concat([slots["image"][:, :4], slots["text"][:, :1]], 1)}
    swapped["text"] = tf.concat([slots["image"][:, 4:], slots["text"][:, 1:]], 1)
    assert np.abs(encoder(swapped) - value).max() > 0.01


def test_one_group_alone():
    slots = {"text": random_slots()["text"]}
    encoder, straight = build(1, slots, {"text": 3})
    np.testing.assert_allclose(encoder(slots), straight(slots), atol=1e-5)
