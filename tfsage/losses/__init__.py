"""Sampled softmax losses with logQ correction, and the estimators of log Q.

Everything here takes arrays and ids: it knows no products, queries or towers. Names load TensorFlow on first use.
"""

import importlib

_PUBLIC = {
    "Candidates": "tfsage.losses.candidates",
    "HardNegatives": "tfsage.losses.candidates",
    "QueryRows": "tfsage.losses.candidates",
    "RowLosses": "tfsage.losses.candidates",
    "IN_BATCH": "tfsage.losses.candidates",
    "RANDOM": "tfsage.losses.candidates",
    "ConditionalFrequency": "tfsage.losses.frequency",
    "CountMinSketch": "tfsage.losses.frequency",
    "Decay": "tfsage.losses.frequency",
    "ExactFrequency": "tfsage.losses.frequency",
    "GapEstimator": "tfsage.losses.frequency",
    "Windows": "tfsage.losses.frequency",
    "build_conditional_frequency": "tfsage.losses.frequency",
    "build_frequency": "tfsage.losses.frequency",
    "integer_ids": "tfsage.losses.frequency",
    "SampledSoftmaxTask": "tfsage.losses.retrieval",
    "in_batch_rows": "tfsage.losses.sampled_softmax",
    "mixed_rows": "tfsage.losses.sampled_softmax",
    "random_rows": "tfsage.losses.sampled_softmax",
    "weighted_mean": "tfsage.losses.sampled_softmax",
    "Temperature": "tfsage.losses.temperature",
    "check_loss": "tfsage.losses.validation",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'tfsage.losses' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_PUBLIC])
