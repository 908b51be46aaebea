"""Experiments: the same training with one thing changed at a time, over several seeds (`tfsage experiment NAME`).

`grid` trains and evaluates the cells, `results` compares them, `tables` shows that to people. A family of experiments
is a module of its own (`losses`): which data, which config, which variants.
"""

from tfsage.experiments.catalog import EXPERIMENTS, run_experiment
from tfsage.experiments.grid import Experiment, Variant

__all__ = ["EXPERIMENTS", "Experiment", "Variant", "run_experiment"]
