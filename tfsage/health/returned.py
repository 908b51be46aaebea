"""What queries get from products that are read in blocks, and how far two versions agree on it."""

from collections.abc import Iterable, Sequence

import numpy as np

from tfsage.health.space import Block
from tfsage.index.brute_force import BruteForceIndex


def nearest_ids(queries: np.ndarray, blocks: Iterable[Block], k: int) -> np.ndarray:
    """The ids of the k nearest products of each query, best first; exact, in the memory of one block.

    Args:
        queries: float32 [q, dimension], finite.
        blocks: the products; rows that are not finite are never near.
        k: at least 1.

    Returns:
        object [q, <= k].
    """
    best_ids = np.empty((len(queries), 0), object)
    best = np.empty((len(queries), 0), np.float32)
    for block in blocks:
        finite = np.isfinite(block.vectors).all(axis=1)
        ids = np.array(block.ids, object)[finite]
        if not len(ids):
            continue
        hits = BruteForceIndex(np.ascontiguousarray(block.vectors[finite])).search(queries, min(k, len(ids)))
        best_ids = np.concatenate([best_ids, ids[hits.rows]], axis=1)
        best = np.concatenate([best, hits.scores], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best_ids, best = np.take_along_axis(best_ids, order, axis=1), np.take_along_axis(best, order, axis=1)
    return best_ids


def overlap(lists: Sequence[Sequence[str]], others: Sequence[Sequence[str]], k: int) -> float:
    """The mean share of the first k that two lists of a query have in common; where one is shorter, of as many."""
    shares = []
    for one, other in zip(lists, others, strict=True):
        size = min(k, len(one), len(other))
        if size:
            shares.append(len(set(one[:size]) & set(other[:size])) / size)
    return float(np.mean(shares)) if shares else float("nan")


def known_item_recall(lists: Sequence[Sequence[str]], wanted: Sequence[str], k: int) -> float:
    """The share of queries whose one wanted product is among the first k."""
    return float(np.mean([item in list(found[:k]) for found, item in zip(lists, wanted, strict=True)]))


def present(ids: set[str], blocks: Iterable[Block]) -> set[str]:
    """Those of the ids that stand in the blocks."""
    return ids & {found for block in blocks for found in block.ids if found in ids}


def largest_share(lists: np.ndarray) -> float:
    """The share of the lists in which the most frequent product stands."""
    _, counts = np.unique(lists.ravel().astype(str), return_counts=True)
    return float(counts.max() / len(lists))
