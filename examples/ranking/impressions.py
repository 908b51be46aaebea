"""What a ranking model learns from: products shown for a query, and which of them were engaged with."""

from typing import NamedTuple

import numpy as np

from tfsage.data.prepared import PreparedData
from tfsage.evaluation.bm25 import BM25

SHOWN = 20
"""Products beside the engaged ones: the first half are the best of BM25, the second are popular ones."""


class Impressions(NamedTuple):
    """Rows grouped by query.

    Attributes:
        query: int64 [rows], rows of the text queries.
        product: int64 [rows], rows of the catalog.
        label: float32 [rows], 1 where the product was engaged with.
        context: float32 [rows, 2], what any ranker knows: BM25 of query and title, log(1 + training engagements).
    """

    query: np.ndarray
    product: np.ndarray
    label: np.ndarray
    context: np.ndarray


def make_impressions(data: PreparedData, split: str, actions: dict[str, float], queries: int, seed: int) -> Impressions:
    """Impressions of up to so many queries of a split on Search.

    Logs of what was shown and not clicked are not part of a shop's tables, so the products beside the engaged ones are
    drawn; none of them is one that the query leads to in any split.
    """
    pairs = {part: data.pairs(part, "search", "query", actions) for part in ("train", "dev", "test")}
    popularity = np.bincount(pairs["train"].product, pairs["train"].count, data.product_count)
    rng = np.random.default_rng(seed)
    asked = np.unique(pairs[split].query)
    asked = np.sort(rng.permutation(asked)[:queries])
    texts = data.queries("query").texts.gather(asked)
    rows = []
    for query, scores in zip(asked, BM25(data.titles.gather(np.arange(data.product_count))).rows(texts), strict=True):
        engaged = pairs[split].product[pairs[split].query == query]
        never = np.concatenate([own.product[own.query == query] for own in pairs.values()])
        weights = popularity + 1.0
        weights[never] = 0.0
        best = np.argsort(np.where(weights > 0, -scores, np.inf), kind="stable")[: SHOWN // 2]
        weights[best] = 0.0
        popular = rng.choice(data.product_count, SHOWN - len(best), replace=False, p=weights / weights.sum())
        product = np.concatenate([engaged, best, popular])
        label = np.arange(len(product)) < len(engaged)
        context = np.stack([scores[product], np.log1p(popularity[product])], axis=1)
        rows.append(Impressions(np.full(len(product), query), product, label, context))
    query, product, label, context = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Impressions(query, product, label.astype(np.float32), context.astype(np.float32))
