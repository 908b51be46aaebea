"""Baselines that have to be trained, or that bring a model of their own (`tfsage baselines --run RUN`).

Each is a ranking of the same pairs as the run's, by name, below RUN/baselines/NAME; `tfsage evaluate` takes the ranks
from there and knows nothing of how they came to be. What needs no training (random, popularity, BM25, Sum) is in
`tfsage.evaluation.baselines`.
"""

from tfsage.baselines.job import BASELINES, write_baselines

__all__ = ["BASELINES", "write_baselines"]
