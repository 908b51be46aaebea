"""Evaluation over frozen embeddings: exact, tie-safe ranks, recall with intervals, baselines, hubness, report."""

from tfsage.evaluation.evaluate import evaluate_run
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.measure import measure_task, recall_metrics

__all__ = ["FrozenVectors", "Judgements", "evaluate_run", "measure_task", "recall_metrics"]
