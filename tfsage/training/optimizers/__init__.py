"""Keras optimizers for models with large sparse tables, and how a config puts them together."""

from tfsage.training.optimizers.adam import FusedAdam
from tfsage.training.optimizers.build import build_optimizer
from tfsage.training.optimizers.composite import CompositeOptimizer
from tfsage.training.optimizers.lamb import Lamb
from tfsage.training.optimizers.lazy_adam import LazyAdam
from tfsage.training.optimizers.paths import variable_paths
from tfsage.training.optimizers.row_wise_adagrad import RowWiseAdagrad

__all__ = [
    "CompositeOptimizer",
    "FusedAdam",
    "Lamb",
    "LazyAdam",
    "RowWiseAdagrad",
    "build_optimizer",
    "variable_paths",
]
