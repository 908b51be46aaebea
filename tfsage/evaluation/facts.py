"""What a prepared folder knows about the pairs of a task: the strata they belong to, and the grades people gave."""

import numpy as np

from tfsage.config import TaskConfig
from tfsage.data.prepared import Entity, PreparedData
from tfsage.data.text_key import text_key
from tfsage.evaluation.graded import Grades
from tfsage.evaluation.strata import (
    Stratum,
    cold_start,
    labelled,
    modality,
    novelty,
    popularity_deciles,
    query_length,
)
from tfsage.evaluation.task_pairs import TaskPairs


def load_strata(data: PreparedData, task: TaskConfig, pairs: TaskPairs) -> dict[str, Stratum]:
    """The strata of the pairs of one task.

    popularity_decile is by the training pairs of the task's own surface and actions. A query or product was seen when
    it occurs in any training pair, of whatever task; a text query also when a variant of it does (see `text_key`).
    modality is of products and pins; query_length and language are of text queries, language where the queries tell it.
    """
    query, product = pairs.query_rows[pairs.judgements.query], pairs.judgements.product
    entity = data.entity(task.entity_type)
    product_seen = np.isin(product, data.trained_on("entity", task.entity_type))
    strata = {
        "popularity_decile": popularity_deciles(pairs.popularity, product),
        "cold_start": cold_start(product_seen),
        "novelty": novelty(_seen_queries(data, task.query_type, query), product_seen),
    }
    if entity.kind != "query":
        strata["modality"] = modality(_has_text(entity, product), _has_image(entity, product))
    if task.query_type == "query":
        asked = data.queries("query")
        strata["query_length"] = query_length(asked.texts.gather(query))
        if asked.languages is not None:
            strata["language"] = labelled(asked.languages.gather(query))
    return strata


def load_grades(data: PreparedData, task: TaskConfig, pairs: TaskPairs) -> Grades | None:
    """The grades of the task's queries, or None when there are none; what the exclusions name has no grade."""
    query, entity, grade = data.relevance(task.query_type, task.entity_type)
    barred = data.exclusions(task.query_type, task.entity_type)
    keep = np.isin(query, pairs.query_rows) & ~np.isin(_keys(query, entity, data, task), _keys(*barred, data, task))
    if not keep.any():
        return None
    return Grades(np.searchsorted(pairs.query_rows, query[keep]), entity[keep], grade[keep])


def _keys(query: np.ndarray, entity: np.ndarray, data: PreparedData, task: TaskConfig) -> np.ndarray:
    return query * data.entity(task.entity_type).count + entity


def _seen_queries(data: PreparedData, query_type: str, query: np.ndarray) -> np.ndarray:
    trained = data.trained_on("query", query_type)
    if query_type != "query":
        return np.isin(query, trained)
    texts = data.queries("query").texts
    keys = {text_key(text) for text in texts.gather(trained)}
    rows, place = np.unique(query, return_inverse=True)
    return np.array([text_key(text) in keys for text in texts.gather(rows)])[place]


def _has_text(entity: Entity, rows: np.ndarray) -> np.ndarray:
    """Whether any text column has a known token."""
    fields = len(entity.text_fields)
    if not fields:
        return np.zeros(len(rows), bool)
    return entity.tokens.offsets[(rows + 1) * fields] > entity.tokens.offsets[rows * fields]


def _has_image(entity: Entity, rows: np.ndarray) -> np.ndarray:
    """Whether any embedding column has a vector."""
    present = np.zeros(len(rows), bool)
    for column in entity.embedding_columns:
        offsets = entity.vectors(column).offsets
        present |= offsets[rows + 1] > offsets[rows]
    return present
