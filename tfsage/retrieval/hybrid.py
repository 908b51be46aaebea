"""Search by vector and by words at once: reciprocal-rank fusion with BM25."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from tfsage.evaluation.bm25 import BM25, K1, B
from tfsage.evaluation.fusion import DEPTH, reciprocal_ranks


class FusedHit(NamedTuple):
    """A product: its row and fused score, and its place (from 1) and score in each ranking, None where it is not."""

    row: int
    score: float
    dense: tuple[int, float] | None
    lexical: tuple[int, float] | None


class OtherTexts:
    """Texts that BM25 was not built over, scored by the number of texts, the document frequencies and the mean length
    of those that it was: so that both can be ranked together.

    Args:
        bm25: built over other texts.
        texts: those to be scored.
    """

    def __init__(self, bm25: BM25, texts: Iterable[str]):
        self._bm25, self._count = bm25, 0
        found: dict[str, tuple[list[int], list[float]]] = {}
        for self._count, text in enumerate(texts, start=1):
            tokens = bm25.tokens(text)
            norm = K1 * (1 - B + B * len(tokens) / (bm25.mean_length or 1.0))
            for token, times in Counter(tokens).items():
                rows, weights = found.setdefault(token, ([], []))
                rows.append(self._count - 1)
                weights.append(times / (times + norm))
        self._found = {token: (np.array(rows), np.array(weights)) for token, (rows, weights) in found.items()}

    def scores(self, query: str) -> np.ndarray:
        """Of each text, float64 [texts]; 0 where no token is shared."""
        scores = np.zeros(self._count)
        for token in self._bm25.tokens(query):
            if token in self._found:
                rows, weights = self._found[token]
                scores[rows] += self._bm25.idf(token) * weights
        return scores


def fused(
    nearest: Callable[..., tuple[np.ndarray, np.ndarray, str]],
    query: np.ndarray,
    by_words: np.ndarray,
    k: int,
    allowed: np.ndarray | None,
    excluded: np.ndarray,
    shown: np.ndarray | None = None,
) -> list[FusedHit]:
    """The `k` products with the highest sum of 1 / (60 + rank), each ranking counted to its first 1,000 places.

    Args:
        nearest: finds products by vector, as `Searcher.nearest`.
        query: its vector, float32 [dimension].
        by_words: floating [count], the score of each product by its words, 0 where none is shared; written to.
        k: at least 1.
        allowed: bool [count], or None for everything.
        excluded: int64 rows left out of both rankings.
        shown: int64 rows that rank but are not given, so that a further page goes on with the same ranking.
    """
    rows, cosines, _ = nearest(query, DEPTH, allowed, excluded)
    by_vector = np.full(len(by_words), -np.inf)
    by_vector[rows] = cosines
    if allowed is not None:
        by_words[~allowed] = 0
    by_words[excluded] = 0
    summed = reciprocal_ranks(by_vector) + reciprocal_ranks(by_words, above=0.0)
    best = np.setdiff1d(np.flatnonzero(summed), [] if shown is None else shown)
    best = best[np.argsort(-summed[best], kind="stable")][:k]
    dense, lexical = _places(by_vector, -np.inf), _places(by_words, 0.0)
    return [FusedHit(int(row), float(summed[row]), dense.get(row), lexical.get(row)) for row in best]


def _places(scores: np.ndarray, above: float) -> dict[int, tuple[int, float]]:
    """Row -> its place from 1 and its score, for the first `DEPTH`."""
    ranked = np.flatnonzero(scores > above)
    ranked = ranked[np.argsort(-scores[ranked], kind="stable")][:DEPTH]
    return {int(row): (place, float(scores[row])) for place, row in enumerate(ranked, start=1)}
