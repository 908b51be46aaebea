"""What towers learn from the data before training begins: texts for a vocabulary, embeddings for statistics."""

from collections.abc import Iterable, Sequence

import numpy as np

from tfsage.config import TaskConfig, TowerConfig
from tfsage.data.prepared import PreparedData

SAMPLE = 100_000
"""Embeddings of each store that statistics are taken from."""


def training_query_texts(data: PreparedData, tasks: Iterable[TaskConfig], tower: str) -> list[str]:
    """The texts of all training queries of a query tower, a query once however many of the tasks it is in."""
    rows: dict[str, list[np.ndarray]] = {}
    for task in _logs(tasks, tower):
        pairs = data.pairs("train", task.surface, task.query_type, task.actions, task.entity_type)
        rows.setdefault(task.query_type, []).append(pairs.query)
    queries = {kind: np.unique(np.concatenate(parts)) for kind, parts in sorted(rows.items())}
    return [text for kind, own in queries.items() for text in data.queries(kind).texts.gather(own)]


def frozen_sample(data: PreparedData, tasks: Sequence[TaskConfig], tower: str, section: TowerConfig) -> np.ndarray:
    """A sample of the frozen embeddings, or of the images, that a standardizing tower reads: float32 [n, dimension]."""
    if section.kind == "frozen":
        kinds = sorted({task.query_type for task in _logs(tasks, tower)})
        samples = [data.queries(kind).embeddings[:SAMPLE] for kind in kinds]
        return np.concatenate(samples or [data.images().values[:SAMPLE]])
    kinds = sorted({task.entity_type for task in tasks if task.candidate_tower == tower})
    column = section.images.column
    stores = [
        entity.vectors(column)
        for entity in map(data.entity, kinds or ["product"])
        if column in entity.embedding_columns
    ]
    return np.concatenate([store.values[:SAMPLE] for store in stores])


def _logs(tasks: Iterable[TaskConfig], tower: str) -> list[TaskConfig]:
    """The tasks of a query tower whose pairs are engagements."""
    return [task for task in tasks if (task.query_tower, task.source) == (tower, "engagements")]
