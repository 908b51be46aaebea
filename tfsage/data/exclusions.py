"""Entities that are no fair competitors of a query, though it never engaged with them."""

import numpy as np

from tfsage.data.prepared import PreparedData


def excluded_pairs(data: PreparedData, query_type: str, entity_type: str = "product") -> tuple[np.ndarray, np.ndarray]:
    """Pairs that are neither positives nor negatives: those that the exclusions table names, and, where queries and
    candidates are of one type, each entity with itself.

    Returns:
        query rows int64 [m] and rows int64 [m] of the catalog.
    """
    query, entity = data.exclusions(query_type, entity_type)
    if query_type == entity_type:
        # A query's row is that of the entity that it is.
        itself = np.arange(data.entity(entity_type).count)
        query, entity = np.concatenate([query, itself]), np.concatenate([entity, itself])
    return query, entity
