"""A few queries with what was returned, chosen from the best and the worst."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.measure import nearest
from tfsage.evaluation.ranks import PairRanks
from tfsage.evaluation.recall import recall_sums

RETURNED = 5
"""Products shown per query; also the k of the recall that says which query did well."""


class Strings(Protocol):
    """Strings by row; `gather` takes int64 [n]."""

    def gather(self, rows: np.ndarray) -> Sequence[str]: ...


class Example(NamedTuple):
    """One query: its text or id, its recall@RETURNED, what is relevant, and what was returned (title, relevant)."""

    query: str
    recall: float
    relevant: list[str]
    returned: list[tuple[str, bool]]


def choose_examples(
    queries: np.ndarray,
    products: np.ndarray,
    judgements: Judgements,
    ranks: PairRanks,
    names: Strings,
    titles: Strings,
    count: int,
    seed: int,
) -> list[Example]:
    """`count` of the best and `count` of the worst queries, drawn by `seed` among equals.

    Args:
        queries: float32 [Q, d].
        products: float32 [products, d].
        judgements: the pairs.
        ranks: the model's.
        names: what to call query row q.
        titles: of the products.
        count: queries of each kind; fewer when there are not as many queries.
        seed: of the draw.
    """
    recall = recall_sums(ranks, judgements, [RETURNED])[f"query_recall@{RETURNED}"].numerator
    drawn = np.random.default_rng(seed).permutation(judgements.queries)
    ordered = drawn[np.argsort(-recall[drawn], kind="stable")]
    chosen = np.array(list(dict.fromkeys([*ordered[:count], *ordered[::-1][:count]])))
    lists = nearest(queries, products, judgements, chosen, RETURNED)
    examples = []
    for query, rows, name in zip(chosen, lists, names.gather(chosen), strict=True):
        rows = rows[rows >= 0]
        relevant = judgements.product[judgements.query == query]
        marks = np.isin(rows, relevant).tolist()
        returned = list(zip(titles.gather(rows), marks, strict=True))
        examples.append(Example(name, float(recall[query]), list(titles.gather(relevant)), returned))
    return examples
