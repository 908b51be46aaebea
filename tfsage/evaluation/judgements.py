"""The question that every ranking of one task answers: which products were engaged with, among which candidates."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tfsage.evaluation.distractors import curve_sizes


def _no_rows() -> np.ndarray:
    return np.empty(0, np.int64)


def _marked(products: int, rows: np.ndarray) -> np.ndarray:
    """bool [products]: which rows are among some; one byte of a product where sorting would take many."""
    marked = np.zeros(products, bool)
    marked[rows] = True
    return marked


@dataclass(frozen=True)
class Judgements:
    """Engaged pairs of one task, what may compete with them, and what may not.

    A query is a row 0 .. Q-1 of whatever scores it; a product is a row of the catalog. The candidates of a pair (x, y)
    are the distractors and y itself, C~ ∪ {y} (ItemSage §4.1.1), without x's other positives and without what is
    excluded for x.

    Attributes:
        query: int64 [pairs]; every row 0 .. Q-1 has at least one pair.
        product: int64 [pairs]; a (query, product) occurs once.
        weight: float64 [pairs], above zero: how often the pair was engaged with.
        products: size of the catalog.
        distractors: int64 [c], distinct rows of the catalog, C~; the first m of them are the sample of size m.
        excluded_query, excluded_product: int64 [m]: products that never compete for that query.
        remaining: int64 [products - c], the other rows in the order in which they join the distractors until the whole
            catalog competes; rising by default.

    Raises:
        ValueError: the arrays contradict this.
    """

    query: np.ndarray
    product: np.ndarray
    weight: np.ndarray
    products: int
    distractors: np.ndarray
    excluded_query: np.ndarray = field(default_factory=_no_rows)
    excluded_product: np.ndarray = field(default_factory=_no_rows)
    remaining: np.ndarray | None = None

    def __post_init__(self):
        if not len(self.query) == len(self.product) == len(self.weight) > 0:
            raise ValueError("query, product and weight must have one entry per pair, and at least one pair")
        if len(self.excluded_query) != len(self.excluded_product):
            raise ValueError("excluded_query and excluded_product must have the same length")
        if not np.bincount(self.query).all():
            raise ValueError("every query row from 0 to the highest must have a pair")
        if len(self.excluded_query) and not 0 <= self.excluded_query.min() <= self.excluded_query.max() < self.queries:
            raise ValueError(f"excluded_query must lie in 0 .. {self.queries - 1}")
        for name in ("product", "distractors", "excluded_product", "remaining"):
            rows = getattr(self, name)
            if rows is not None and len(rows) and not 0 <= rows.min() <= rows.max() < self.products:
                raise ValueError(f"{name} must lie in 0 .. {self.products - 1}")
        if _marked(self.products, self.distractors).sum() < len(self.distractors):
            raise ValueError("distractors must be distinct")
        if len(self.order) != self.products or not _marked(self.products, self.order).all():
            raise ValueError("distractors and remaining must hold every row of the catalog once")
        if len(np.unique(self._keys(self.query, self.product))) < len(self.query):
            raise ValueError("a pair of query and product may occur only once")
        if not (np.isfinite(self.weight) & (self.weight > 0)).all():
            raise ValueError("weights must be finite and above zero")

    @property
    def queries(self) -> int:
        """Q, the number of queries."""
        return int(self.query.max()) + 1

    @cached_property
    def order(self) -> np.ndarray:
        """int64 [products]: the whole catalog, the distractors first."""
        remaining = self.remaining
        if remaining is None:
            remaining = np.flatnonzero(~_marked(self.products, self.distractors))
        # A copy would be as long as the catalog.
        return np.concatenate([self.distractors, remaining]) if len(remaining) else self.distractors

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the nested samples among which ranks are told, the distractors and the whole catalog among them."""
        return curve_sizes(len(self.distractors), self.products)

    @cached_property
    def barred(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct (query, product) that are never counted as competitors: every positive and every exclusion."""
        keys = np.concatenate(
            [self._keys(self.query, self.product), self._keys(self.excluded_query, self.excluded_product)]
        )
        return np.divmod(np.unique(keys), self.products)

    def _keys(self, query: np.ndarray, product: np.ndarray) -> np.ndarray:
        return query.astype(np.int64) * self.products + product
