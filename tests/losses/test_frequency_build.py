"""From the config to an estimator."""

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from tests.losses.streams import zipf_ids
from tfsage.config import FrequencyConfig
from tfsage.losses.frequency import (
    EXACT_LIMIT,
    ConditionalFrequency,
    CountMinSketch,
    ExactFrequency,
    GapEstimator,
    Windows,
    build_conditional_frequency,
    build_frequency,
)


def test_auto_counts_exactly_while_the_catalog_is_small_enough():
    assert isinstance(build_frequency(FrequencyConfig(), 100), ExactFrequency)
    assert isinstance(build_frequency(FrequencyConfig(width=10), EXACT_LIMIT + 1), CountMinSketch)
    assert isinstance(build_frequency(FrequencyConfig(kind="exact"), 100), ExactFrequency)


def test_exact():
    frequency = build_frequency(FrequencyConfig(kind="exact", decay=0.5, decay_every=1), 7)
    frequency.update(tf.constant([6, 6]))
    frequency.update(tf.constant([6]))
    assert frequency.total == 2
    with pytest.raises(tf.errors.InvalidArgumentError):
        frequency.update(tf.constant([7]))


@pytest.mark.parametrize("conservative", [True, False])
def test_count_min(conservative):
    config = FrequencyConfig(kind="count_min", width=11, depth=3, conservative=conservative, windows=2, decay_every=4)
    built = build_frequency(config, 10**12, seed=5)
    by_hand = CountMinSketch(11, 3, conservative, Windows(2, 4), seed=5)
    for seed in range(9):
        for sketch in (built, by_hand):
            sketch.update(tf.constant(zipf_ids(20, 50, seed)))
    for found, expected in zip(built.variables, by_hand.variables, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_gap():
    config = FrequencyConfig(kind="gap", width=64, depth=1, rate=0.5, initial_gap=10.0)
    estimator = build_frequency(config, 10**12)
    assert isinstance(estimator, GapEstimator)
    estimator.update(tf.constant([5]))
    assert estimator.gap(tf.constant([5])).numpy() == [5.5]
    assert estimator.variables[0].shape == [64]


@pytest.mark.parametrize(("kind", "inclusion"), [("exact", False), ("count_min", False), ("gap", True)])
def test_only_the_gap_is_an_inclusion_rate(kind, inclusion):
    assert build_frequency(FrequencyConfig(kind=kind, width=4), 9).inclusion == inclusion


def test_conditional():
    frequency = build_conditional_frequency(FrequencyConfig(width=64, decay=0.5, decay_every=1))
    assert isinstance(frequency, ConditionalFrequency)
    for ids in ([7, 7], [8]):
        frequency.update(tf.ones([len(ids)], tf.int64), tf.constant(ids))
    np.testing.assert_allclose(frequency.log_q(tf.constant([1]), tf.constant([8])), [np.log(1 / 2)], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"windows": 2, "decay": 0.5}, "two ways to forget"),
        ({"kind": "gap", "windows": 2}, "forgets by `rate`"),
        ({"kind": "gap", "decay": 0.5}, "forgets by `rate`"),
        ({"initial_gap": 0.5}, "greater than or equal to 1"),
    ],
)
def test_contradictions_are_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        FrequencyConfig(**options)
