"""The toy training step on one of several workers; the chief writes loss and gradients.

python -m tests.training.workers_engine OUT.npz, with TF_CONFIG in the environment
"""

import sys

import numpy as np
import tensorflow as tf

from tests.training.toy_engine import SPLITS, run
from tfsage.training.cluster import Cluster
from tfsage.training.strategy import choose_strategy

CASES = [
    ("float64", "paper", "uneven", None),
    ("float64", "paper", "empty", 3),
    ("float64", "mixed", "even", None),
    ("float32", "paper", "uneven", None),
]
"""dtype, form of the loss, split of the pairs, chunk size."""


def main(out: str) -> None:
    tf.config.experimental.enable_op_determinism()
    cluster = Cluster.from_environment()
    strategy = choose_strategy(cluster)
    found = {}
    for dtype, form, split, chunk_size in CASES:
        for place, value in enumerate(run(strategy, form, dtype, SPLITS[2][split], chunk_size)):
            found[f"{dtype} {form} {split} {place}"] = value
    if cluster.is_chief:
        np.savez(out, **found)


if __name__ == "__main__":
    main(sys.argv[1])
