"""From the config to an estimator."""

from tfsage.config import FrequencyConfig
from tfsage.losses.frequency.conditional import ConditionalFrequency
from tfsage.losses.frequency.count_min import CountMinSketch
from tfsage.losses.frequency.counters import Decay, Windows
from tfsage.losses.frequency.exact import ExactFrequency
from tfsage.losses.frequency.gap import GapEstimator

EXACT_LIMIT = 50_000_000
"""Up to this many ids `frequency: auto` counts exactly, at 8 bytes each."""


def build_frequency(
    config: FrequencyConfig, size: int, seed: int = 0
) -> ExactFrequency | CountMinSketch | GapEstimator:
    """The estimator that `loss.frequency` asks for.

    Args:
        config: the `loss.frequency` section of a config.
        size: of the catalog; exact counts are over ids in [0, size).
        seed: of the hash functions, if there are any.
    """
    if config.kind == "gap":
        return GapEstimator(config.width, config.depth, config.rate, config.initial_gap, seed)
    if config.kind == "exact" or (config.kind == "auto" and size <= EXACT_LIMIT):
        return ExactFrequency(size, _aging(config))
    return CountMinSketch(config.width, config.depth, config.conservative, _aging(config), seed)


def build_conditional_frequency(config: FrequencyConfig, seed: int = 0) -> ConditionalFrequency:
    """What `loss.positive_correction: conditional` needs: sketches of the width, depth and aging of the config."""
    return ConditionalFrequency(config.width, config.depth, config.conservative, _aging(config), seed)


def _aging(config: FrequencyConfig) -> Decay | Windows | None:
    if config.windows > 1:
        return Windows(config.windows, config.decay_every)
    return Decay(config.decay, config.decay_every) if config.decay < 1.0 else None
