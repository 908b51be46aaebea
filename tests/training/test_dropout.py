"""The dropout inside towers depends on the seed and the step alone."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.conftest import TINY
from tfsage.config import Config
from tfsage.data.prepared import PreparedData
from tfsage.models import ItemSage
from tfsage.training.dropout import seed_dropout


def drawn(generators: list[tf.random.Generator], seed: int, step: int) -> list[bytes]:
    seed_dropout(generators, seed, tf.constant(step, tf.int64))
    return [generator.uniform([5]).numpy().tobytes() for generator in generators]


def test_a_step_draws_the_same_whatever_was_drawn_before():
    fresh, used = ([tf.random.Generator.from_seed(place) for place in first] for first in ((1, 2), (3, 4)))
    for generator in used:
        generator.normal([1000])
    assert drawn(fresh, seed=7, step=5) == drawn(used, seed=7, step=5)


def test_steps_seeds_and_layers_draw_different_numbers():
    generators = [tf.random.Generator.from_seed(1) for _ in range(3)]
    found = [drawn(generators, seed, step) for seed, step in itertools.product((1, 2), (0, 1, 2))]
    assert len(set(itertools.chain(*found))) == 18


def model(prepared, chunk_size: int | None) -> ItemSage:
    """With a language model, whose layers have dropout."""
    sizes = {"vocabulary_size": 500, "layers": 1, "heads": 2, "width": 16, "feed_forward": 32}
    raw = {
        **TINY,
        "towers": {**TINY["towers"], "text": {"kind": "distilbert", **sizes}},
        "training": {**TINY["training"], "chunk_size": chunk_size},
    }
    return ItemSage(Config.model_validate(raw), PreparedData(prepared))


@pytest.mark.parametrize("chunk_size", [None, 200])
def test_a_training_step_depends_on_its_number_alone(prepared, chunk_size):
    """Not on earlier draws; and with chunks the second pass draws what the first one drew (one chunk is the whole)."""
    whole, other = model(prepared, None), model(prepared, chunk_size)
    assert len(other.towers["text"].dropout_generators) > 1
    for ours, theirs in zip(whole.variables, other.variables, strict=True):
        theirs.assign(ours)
    for generator in other.towers["text"].dropout_generators:
        generator.uniform([100])
    batch = next(iter(whole.dataset()))
    for each in (whole, other):
        each.compile(tf_keras.optimizers.SGD(1.0))
        each.train_step(batch)
    for ours, theirs in zip(whole.trainable_variables, other.trainable_variables, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5, err_msg=ours.name)
