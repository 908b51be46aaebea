"""Products that are no fair competitors of a query, though it never engaged with them."""

import numpy as np

from tfsage.data.prepared import PreparedData


def excluded_pairs(data: PreparedData, query_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that are neither positives nor negatives: those that the exclusions table names, and, for product queries,
    a query and the very product that it is.

    Returns:
        query rows int64 [m] and product rows int64 [m].
    """
    parts = [data.exclusions(query_type)]
    if query_type == "product":
        parts.append(_themselves(data))
    queries, products = zip(*parts, strict=True)
    return np.concatenate(queries), np.concatenate(products)


def _themselves(data: PreparedData) -> tuple[np.ndarray, np.ndarray]:
    ids = data.queries("product").ids
    query_of = {name: row for row, name in enumerate(ids.gather(np.arange(len(ids))))}
    found = [
        (query_of[name], row)
        for row, name in enumerate(data.product_ids.gather(np.arange(data.product_count)))
        if name in query_of
    ]
    query, product = np.array(found, np.int64).reshape(-1, 2).T
    return query, product
