"""Ranks by dot product of float32 vectors: one matrix product per block, then two counts per pair."""

from collections.abc import Iterator

import numpy as np

from tfsage.console import progress
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import Counts, PairRanks, combine

UNIT_TOLERANCE = 1e-6
"""Dot products of unit vectors that differ by no more tie: float32 kernels disagree by up to 6.6e-7 on equal rows."""

_QUERY_BLOCK = 1024
_PRODUCT_BLOCK = 4096
_PAIR_BLOCK = 256


def rank_dense(
    queries: np.ndarray, products: np.ndarray, judgements: Judgements, title: str = "Ranking products"
) -> PairRanks:
    """Ranks by dot product, in blocks: memory does not grow with the number of distractors.

    Args:
        queries: float32 [Q, d], no longer than one.
        products: float32 [products, d], no longer than one; may be memory-mapped.
        judgements: the pairs and their candidates.
        title: names the progress bar.

    Raises:
        ValueError: shapes do not match, a vector holds NaN or infinity (such a positive would beat every distractor),
            or is longer than one (the tolerance would not hold).
    """
    if queries.shape != (judgements.queries, products.shape[1]) or len(products) != judgements.products:
        raise ValueError(
            f"expected queries [{judgements.queries}, d] and products [{judgements.products}, d], "
            f"got {queries.shape} and {products.shape}"
        )
    _check_lengths(queries, "query")
    _check_lengths(products, "product")
    score = _pair_scores(queries, products, judgements)
    layout = _Layout(judgements)
    ordered = queries[layout.order]
    buffers = np.empty(_QUERY_BLOCK * _PRODUCT_BLOCK, np.float32), np.empty(_QUERY_BLOCK * _PRODUCT_BLOCK, bool)
    with progress() as bar:
        task = bar.add_task(title, total=judgements.products, note="")
        counts = []
        for candidates in (judgements.distractors, judgements.others):
            count = Counts(len(score))
            for rows, barred in layout.product_blocks(candidates):
                _count(ordered, products[rows], score, barred, layout.slots, buffers, count)
                bar.advance(task, len(rows))
            counts.append(count)
    return combine(judgements, score, *counts, tolerance=UNIT_TOLERANCE)


class _Layout:
    """Queries in descending number of pairs: the queries that have a j-th pair then lead every block of scores.

    So a block of scores is computed once per query and compared in place, however many pairs its queries have.

    Attributes:
        order: int64 [Q], query row at each position.
        slots: slots[j] int64 [m_j], the j-th pair of the queries at positions 0 .. m_j - 1.
    """

    def __init__(self, judgements: Judgements):
        pairs = np.bincount(judgements.query)
        self.order = np.argsort(-pairs, kind="stable")
        self._position = np.empty_like(self.order)
        self._position[self.order] = np.arange(len(self.order))
        by_query = np.argsort(self._position[judgements.query], kind="stable")
        ends = np.cumsum(pairs[self.order])
        slot = np.arange(len(by_query)) - np.repeat(ends - pairs[self.order], pairs[self.order])
        self.slots = [by_query[slot == j] for j in range(pairs.max())]
        self._products = judgements.products
        self._barred = judgements.barred

    def product_blocks(self, candidates: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
        """Blocks of candidates, each with its barred cells: query positions (ascending) and columns of the block."""
        column_of = np.full(self._products, -1, np.int64)
        column_of[candidates] = np.arange(len(candidates))
        query, product = self._barred
        position, column = self._position[query], column_of[product]
        position, column = position[column >= 0], column[column >= 0]
        by_block = np.lexsort((position, column // _PRODUCT_BLOCK))
        position, column = position[by_block], column[by_block]
        for start in range(0, len(candidates), _PRODUCT_BLOCK):
            block = start // _PRODUCT_BLOCK
            first, last = np.searchsorted(column // _PRODUCT_BLOCK, [block, block + 1])
            yield candidates[start : start + _PRODUCT_BLOCK], (position[first:last], column[first:last] - start)


def _count(ordered, products, score, barred, slots, buffers, count: Counts) -> None:
    """Adds the competitors of one block of products; `buffers` spare the page faults of fresh arrays."""
    position, column = barred
    score_buffer, mask_buffer = buffers
    for start in range(0, len(ordered), _QUERY_BLOCK):
        block = ordered[start : start + _QUERY_BLOCK]
        scores = np.matmul(block, products.T, out=_shaped(score_buffer, len(block), len(products)))
        first, last = np.searchsorted(position, [start, start + _QUERY_BLOCK])
        scores[position[first:last] - start, column[first:last]] = -np.inf
        for slot in slots:
            pairs = slot[start : start + _QUERY_BLOCK]
            if not len(pairs):
                break
            own, among = score[pairs, None], scores[: len(pairs)]
            mask = _shaped(mask_buffer, *among.shape)
            np.greater(among, own + np.float32(UNIT_TOLERANCE), out=mask)
            count.greater[pairs] += _true_per_row(mask)
            np.greater_equal(among, own - np.float32(UNIT_TOLERANCE), out=mask)
            count.least[pairs] += _true_per_row(mask)


def _shaped(buffer: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return buffer[: rows * columns].reshape(rows, columns)


def _true_per_row(mask: np.ndarray) -> list[int]:
    # One call per row: over an axis, count_nonzero falls back to a sum that is several times slower.
    return [np.count_nonzero(row) for row in mask]


def _pair_scores(queries: np.ndarray, products: np.ndarray, judgements: Judgements) -> np.ndarray:
    """float32 [pairs], from the same kernel as the competitors' scores: another one rounds differently."""
    score = np.empty(len(judgements.query), np.float32)
    for start in range(0, len(score), _PAIR_BLOCK):
        block = slice(start, start + _PAIR_BLOCK)
        score[block] = np.diagonal(queries[judgements.query[block]] @ products[judgements.product[block]].T)
    return score


def _check_lengths(vectors: np.ndarray, what: str) -> None:
    for start in range(0, len(vectors), 65_536):
        block = vectors[start : start + 65_536]
        squared = np.einsum("nd,nd->n", block, block)
        # A NaN compares false to everything: `not (... <= ...)` also catches it.
        if (bad := ~(squared <= 1.001)).any():
            row = start + int(bad.argmax())
            raise ValueError(f"{what} {row}: its vector is not finite or is longer than one; normalise it first")
