"""Ranks by dot product of float32 vectors: one matrix product per block, then two counts per pair."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from tfsage.console import progress
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.rank_state import RankState
from tfsage.evaluation.ranks import Counts, PairRanks, combine

UNIT_TOLERANCE = 1e-6
"""Dot products of unit vectors that differ by no more tie: float32 kernels disagree by up to 6.6e-7 on equal rows."""

_QUERY_BLOCK = 1024
_PRODUCT_BLOCK = 4096
_SLAB = 65_536
_PAIR_BLOCK = 256
_FEW = 4
"""Up to one row in so many is copied to be compared again; more are compared in place."""


def rank_dense(
    queries: np.ndarray,
    products: np.ndarray,
    judgements: Judgements,
    title: str = "Ranking products",
    state: Path | None = None,
) -> PairRanks:
    """Ranks by dot product, in blocks: memory does not grow with the number of products.

    Blocks of queries are shared out among as many threads as BLAS would use; each thread multiplies alone, since two
    threads in one product wait for one another while the counting is done by one.

    Args:
        queries: float32 [Q, d], no longer than one.
        products: float32 [products, d], no longer than one; may be memory-mapped.
        judgements: the pairs and their candidates.
        title: names the progress bar.
        state: a file that keeps, every half minute, what is counted so far; the same call goes on from there after a
            kill. Whoever names the file removes it.

    Raises:
        ValueError: shapes or types do not match, a vector holds NaN or infinity (such a positive would beat every
            distractor), or is longer than one (the tolerance would not hold).
    """
    if queries.shape != (judgements.queries, products.shape[1]) or len(products) != judgements.products:
        raise ValueError(
            f"expected queries [{judgements.queries}, d] and products [{judgements.products}, d], "
            f"got {queries.shape} and {products.shape}"
        )
    if queries.dtype != np.float32 or products.dtype != np.float32:
        raise ValueError(f"expected float32 vectors, got {queries.dtype} queries and {products.dtype} products")
    _check_lengths(queries, "query")
    _check_lengths(products, "product")
    score = _pair_scores(queries, products, judgements)
    layout = _Layout(judgements)
    count = Counts(judgements)
    kept = RankState(
        state, (queries, products, judgements.query, judgements.product, *judgements.barred, judgements.order)
    )
    reached = kept.load(count)
    with progress() as bar, _Workers(queries[layout.order], score, layout.slots) as workers:
        task = bar.add_task(title, total=judgements.products, completed=reached, note="")
        slab = np.empty((min(_SLAB, judgements.products), products.shape[1]), np.float32)
        for start, blocks in layout.slabs():
            stop = blocks[-1].stop
            if start >= reached:
                rows = judgements.order[start:stop]
                np.take(products, rows, axis=0, out=slab[: len(rows)], mode="clip")
                for share in workers.count(slab, start, blocks, count):
                    bar.advance(task, (stop - start) * share)
                kept.save(count, stop)
    kept.finish(count, judgements.products)
    return combine(judgements, score, count, tolerance=UNIT_TOLERANCE)


class _Block(NamedTuple):
    """Products that are scored at once: places start .. stop - 1 of the catalog's order, all of one nested sample.

    size: which sample they join. position, column: the barred cells, query positions rising, columns of the block.
    """

    start: int
    stop: int
    size: int
    position: np.ndarray
    column: np.ndarray


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
        self._judgements = judgements

    def slabs(self) -> Iterator[tuple[int, list[_Block]]]:
        """Runs of blocks whose products are read at once, each with the place at which it starts."""
        for number, blocks in groupby(self._blocks(), key=lambda block: block.start // _SLAB):
            yield number * _SLAB, list(blocks)

    def _blocks(self) -> Iterator[_Block]:
        products, sizes = self._judgements.products, self._judgements.sizes
        cuts = np.unique([0, *range(0, products, _PRODUCT_BLOCK), *range(0, products, _SLAB), *sizes])
        query, product = self._judgements.barred
        position, place = self._position[query], _places(product, self._judgements.order)
        block = np.searchsorted(cuts, place, side="right") - 1
        by_block = np.lexsort((position, block))
        position, place, block = position[by_block], place[by_block], block[by_block]
        ends = np.searchsorted(block, np.arange(len(cuts)))
        for number, (start, stop) in enumerate(pairwise(cuts.tolist())):
            cells = slice(ends[number], ends[number + 1])
            size = int(np.searchsorted(sizes, start, side="right"))
            yield _Block(start, stop, size, position[cells], place[cells] - start)


def _places(products: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Where each of some products stands in an order of all, int64 [n]; memory does not grow with that order."""
    wanted, back = np.unique(products, return_inverse=True)
    place = np.empty(len(wanted), np.int64)
    for start in range(0, len(order), _SLAB):
        rows = order[start : start + _SLAB]
        at = np.minimum(np.searchsorted(wanted, rows), len(wanted) - 1)
        found = np.flatnonzero(wanted[at] == rows)
        place[at[found]] = start + found
    return place[back]


class _Workers:
    """Threads that score blocks of queries against a slab of products and count.

    Args:
        queries: float32 [Q, d], in the layout's order.
        score: float32 [pairs], of each pair's own product.
        slots: of the layout.
    """

    def __init__(self, queries: np.ndarray, score: np.ndarray, slots: list[np.ndarray]):
        self._queries, self._slots = queries, slots
        self._over, self._under = score + np.float32(UNIT_TOLERANCE), score - np.float32(UNIT_TOLERANCE)
        threads = max([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"], default=1)
        shares = -(-len(queries) // (_QUERY_BLOCK * threads)) * threads
        self._step = -(-len(queries) // shares)
        self._pool = ThreadPoolExecutor(threads)
        # One set of buffers per thread spares the page faults of fresh arrays.
        self._buffers: SimpleQueue = SimpleQueue()
        for _ in range(threads):
            cells = self._step * _PRODUCT_BLOCK
            self._buffers.put((np.empty(cells, np.float32), np.empty(cells, bool)))

    def __enter__(self) -> "_Workers":
        self._limits = threadpool_limits(1, user_api="blas")
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def count(self, slab: np.ndarray, first: int, blocks: list[_Block], count: Counts) -> Iterator[float]:
        """Adds the competitors among the products of a slab; yields the share of the queries that was done."""

        def count_queries(start: int) -> float:
            buffers = self._buffers.get()
            for block in blocks:
                self._count(slab[block.start - first : block.stop - first], block, start, buffers, count)
            self._buffers.put(buffers)
            return min(self._step, len(self._queries) - start) / len(self._queries)

        return self._pool.map(count_queries, range(0, len(self._queries), self._step))

    def _count(self, products: np.ndarray, block: _Block, start: int, buffers, count: Counts) -> None:
        queries = self._queries[start : start + self._step]
        score_buffer, mask_buffer = buffers
        scores = np.matmul(queries, products.T, out=_shaped(score_buffer, len(queries), len(products)))
        first, last = np.searchsorted(block.position, [start, start + self._step])
        scores[block.position[first:last] - start, block.column[first:last]] = -np.inf
        for slot in self._slots:
            pairs = slot[start : start + self._step]
            if not len(pairs):
                break
            among = scores[: len(pairs)]
            mask = _shaped(mask_buffer, *among.shape)
            np.greater_equal(among, self._under[pairs, None], out=mask)
            least = _true_per_row(mask)
            # No two threads have a pair in common.
            count.least[block.size, pairs] += least
            # Of what ties or is ahead, what is ahead: few rows have any of either where the model is good.
            some = np.flatnonzero(least)
            if len(some) > len(pairs) // _FEW:
                np.greater(among, self._over[pairs, None], out=mask)
                count.greater[block.size, pairs] += _true_per_row(mask)
            elif len(some):
                ahead = among[some] > self._over[pairs[some], None]
                count.greater[block.size, pairs[some]] += _true_per_row(ahead)


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
