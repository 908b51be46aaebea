"""Sampled softmax losses with logQ correction, and the estimators of log Q.

Everything here takes arrays and ids: it knows no products, queries or towers. Names load TensorFlow on first use.
"""

import importlib

_PUBLIC = {
    "build_conditional_frequency": "tfsage.losses.frequency",
    "build_frequency": "tfsage.losses.frequency",
    "Candidates": "tfsage.losses.candidates",
    "check_dimension": "tfsage.losses.validation",
    "check_loss": "tfsage.losses.validation",
    "ConditionalFrequency": "tfsage.losses.frequency",
    "CountMinSketch": "tfsage.losses.frequency",
    "Decay": "tfsage.losses.frequency",
    "ExactFrequency": "tfsage.losses.frequency",
    "GapEstimator": "tfsage.losses.frequency",
    "hard_negative_rows": "tfsage.losses.hard_negatives",
    "HardNegatives": "tfsage.losses.candidates",
    "IN_BATCH": "tfsage.losses.candidates",
    "in_batch_term": "tfsage.losses.terms",
    "integer_ids": "tfsage.losses.frequency",
    "mixed_term": "tfsage.losses.terms",
    "mixture_log_q": "tfsage.losses.correction",
    "QueryRows": "tfsage.losses.candidates",
    "RANDOM": "tfsage.losses.candidates",
    "random_term": "tfsage.losses.terms",
    "row_losses": "tfsage.losses.sampled_softmax",
    "RowLosses": "tfsage.losses.candidates",
    "SampledSoftmaxTask": "tfsage.losses.retrieval",
    "Temperature": "tfsage.losses.temperature",
    "Term": "tfsage.losses.terms",
    "Windows": "tfsage.losses.frequency",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'tfsage.losses' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_PUBLIC])
