"""From a prepared folder to the judgements of one task: which pairs are asked, and what is no fair competitor."""

from typing import NamedTuple

import numpy as np

from tfsage.config import EvaluationConfig, TaskConfig
from tfsage.data.exclusions import excluded_pairs
from tfsage.data.prepared import PreparedData
from tfsage.data.schema import SPLITS
from tfsage.evaluation.distractors import DistractorSet, hashed_order
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.variants import variants_of


class TaskPairs(NamedTuple):
    """What one task is evaluated on.

    query_rows: int64 [Q], the row in the prepared queries of each query of the judgements, ascending.
    judgements: the pairs, weighted by how often they were engaged with.
    popularity: float64 [products], engagements in the training pairs of the same actions.

    What the judgements call products are the candidates of the task, of whatever entity type.
    """

    query_rows: np.ndarray
    judgements: Judgements
    popularity: np.ndarray


def load_task_pairs(
    data: PreparedData, task: TaskConfig, split: str, config: EvaluationConfig, distractors: DistractorSet
) -> TaskPairs | None:
    """The pairs of `split` with the actions that the task is evaluated on, or None when there are none.

    No fair competitors of a query, besides its other positives: what the query is known to have engaged with in
    the other splits, what the exclusions name, where queries and candidates are of one type the query itself, and
    variants of the positives and of the query.
    When there are more than `max_pairs` pairs, a hashed sample of the queries is taken, each with all of its pairs.
    """
    actions = dict.fromkeys(task.evaluate_actions or task.actions, 1.0)
    by_split = {name: data.pairs(name, task.surface, task.query_type, actions, task.entity_type) for name in SPLITS}
    asked = by_split.pop(split)
    if not len(asked.query):
        return None
    excluded = excluded_pairs(data, task.query_type, task.entity_type)
    catalog = data.entity(task.entity_type).count
    keep = ~np.isin(_keys(asked.query, asked.entity, catalog), _keys(*excluded, catalog))
    query, product, weight = asked.query[keep], asked.entity[keep], asked.count[keep]
    if not len(query):
        return None
    keep = np.isin(query, _sampled_queries(data, task, query, config))
    query_rows, query = np.unique(query[keep], return_inverse=True)
    known = [(pairs.query, pairs.entity) for pairs in by_split.values()]
    variants = _variants(data, task, query_rows[query], product[keep])
    excluded_query, excluded_product = _joined([excluded, *known, variants])
    concerned = np.isin(excluded_query, query_rows)
    judgements = Judgements(
        query=query,
        product=product[keep],
        weight=weight[keep],
        products=catalog,
        distractors=distractors.rows,
        remaining=distractors.remaining,
        excluded_query=np.searchsorted(query_rows, excluded_query[concerned]),
        excluded_product=excluded_product[concerned],
    )
    train = by_split["train"]
    popularity = np.bincount(train.entity, train.count, minlength=catalog)
    return TaskPairs(query_rows, judgements, popularity)


def _variants(
    data: PreparedData, task: TaskConfig, query: np.ndarray, product: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a query with the variants of its positives, and of the query itself where it is of the same type."""
    group = data.entity(task.entity_type).variant_groups
    if group is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if task.query_type == task.entity_type:
        query, product = np.concatenate([query, query]), np.concatenate([product, query])
    return variants_of(query, product, group)


def _sampled_queries(data: PreparedData, task: TaskConfig, query: np.ndarray, config: EvaluationConfig) -> np.ndarray:
    rows, pairs = np.unique(query, return_counts=True)
    if len(query) <= config.max_pairs:
        return rows
    order = hashed_order(data.queries(task.query_type).ids.gather(rows), config.seed)
    count = np.searchsorted(np.cumsum(pairs[order]), config.max_pairs, side="right")
    return rows[order[: max(1, count)]]


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    queries, products = zip(*parts, strict=True)
    return np.concatenate(queries), np.concatenate(products)


def _keys(query: np.ndarray, product: np.ndarray, products: int) -> np.ndarray:
    return query * products + product
