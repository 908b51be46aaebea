"""Evaluation over frozen embeddings: exact, tie-safe ranks, recall with intervals, baselines, hubness, report."""

from tfsage.evaluation.accounting import account
from tfsage.evaluation.evaluate import evaluate_run
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.measure import measure_task, recall_metrics
from tfsage.evaluation.paired import compare_runs

__all__ = ["FrozenVectors", "Judgements", "account", "compare_runs", "evaluate_run", "measure_task", "recall_metrics"]
