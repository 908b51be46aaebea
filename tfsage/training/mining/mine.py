"""Mines hard negatives with the model as it is: embeds the catalog, indexes it, searches it with the coming queries."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfsage.console import progress
from tfsage.data.exclusions import excluded_pairs
from tfsage.data.hard_negatives import NONE, MinedNegatives
from tfsage.data.known_positives import KnownPositives
from tfsage.data.permutation import mix64
from tfsage.data.prepared import PreparedData
from tfsage.data.sources import PairRows, query_space
from tfsage.embedding import entity_embedder, query_embedder
from tfsage.index import BruteForceIndex, Index, build_index, load_index
from tfsage.models import EmbeddingModel
from tfsage.training.mining.select import draw, eligible

_PRODUCTS = 131_072
"""Embedded between two writes to the disk."""
_PAIRS = 4096
"""Whose queries are embedded together; or those of one step, if they are more."""
_HITS = 1 << 20
"""Held at once."""
_EXACT = 100_000
"""Products up to which the search is exact: an index costs more to build than the search of an epoch takes."""
_RECALL = 0.9
"""Of the index of a large catalog. What it misses matters little where only some of a window are drawn."""
_TUNING_QUERIES = 256


class HardNegativeMiner:
    """Mines the hard negatives of some steps with the present weights of a model.

    The result depends on the weights, the data, the config and the steps alone, however the batches are divided. The
    one exception are catalogs of more than 100,000 products, which are searched through ScaNN's tree: it is not built
    twice the same to the bit, so two runs may differ there by a few draws.

    Args:
        model: its towers and its batches are used.
        data: the prepared folder of the batches.
    """

    def __init__(self, model: EmbeddingModel, data: PreparedData):
        self._data, self._batches = data, model.batches
        self._section, self._seed = model.config.loss.hard_negatives, model.config.training.seed
        tasks, towers = model.batches.tasks, model.towers
        self._embed_query = {name: query_embedder(towers[name]) for name in sorted({t.query_tower for t in tasks})}
        pools = {pool: towers[name] for pool, name in sorted(self._batches.towers.items())}
        types = self._batches.entity_types
        self._embed_candidate = {pool: entity_embedder(tower, data, types[pool]) for pool, tower in pools.items()}
        self._dimension = {pool: tower.dimension for pool, tower in pools.items()}

    def __call__(self, first: int, last: int, scratch: Path) -> MinedNegatives:
        """Mines for every pair of the steps from `first` to `last`, excluded.

        The vectors of the catalog lie on the disk; memory grows by 8 bytes for each hard negative.

        Args:
            first: the first step.
            last: the step after the last.
            scratch: a folder that is emptied first, and removed in the end.

        Returns:
            with the summary: `pairs`; the share of them `without` any hard negative; and, when there is one at all,
            the mean `similarity` of the hard negatives and the mean `positive_similarity` of the pairs that have any,
            cosines to the query.
        """
        sizes, products, found = {}, {}, Counter()
        for pool in self._embed_candidate:
            sizes[pool] = np.array([self._batches.pair_count(pool, step) for step in range(first, last)], np.int64)
            products[pool] = np.full((sizes[pool].sum(), self._section.per_pair), NONE, np.int64)
            if products[pool].size:
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir(parents=True)
                found.update(self._fill_in(pool, self._pairs(pool, first, sizes[pool]), products[pool], scratch))
        shutil.rmtree(scratch, ignore_errors=True)
        return MinedNegatives(first, sizes, products, _summary(found))

    def _fill_in(self, pool: str, chunks: Iterator["_Pairs"], mined: np.ndarray, scratch: Path) -> Counter:
        """Fills in the hard negatives of all pairs of a pool; returns sums for the summary."""
        section, found, done, index = self._section, Counter(), 0, None
        vectors = self._embed_catalog(pool, scratch)
        known, excluded = self._batches.known[pool], self._excluded(pool)
        with progress() as bar:
            task = bar.add_task("Mining hard negatives", total=len(mined), note="")
            for pairs in chunks:
                if index is None:
                    index = _open_index(vectors, pairs.query, scratch)
                hits = index.search(pairs.query, section.window[1])
                product, similarity = hits.rows[:, section.window[0] :], hits.scores[:, section.window[0] :]
                own = np.einsum("nd,nd->n", pairs.query, vectors[pairs.positive])
                barred = [part.find(pairs.query_id, pairs.positive, product) for part in (known, excluded)]
                allowed = eligible(product, similarity, pairs.positive, own, np.concatenate(barred), section.margin)
                place = draw(product, allowed, section.per_pair, pairs.key)
                drawn = place != NONE
                mined[done : done + len(own)] = np.where(drawn, np.take_along_axis(product, place, axis=1), NONE)
                done += len(own)
                found["pairs"] += len(own)
                found["with"] += np.count_nonzero(drawn.any(axis=1))
                found["drawn"] += np.count_nonzero(drawn)
                found["similarity"] += np.take_along_axis(similarity, place, axis=1)[drawn].sum(dtype=np.float64)
                found["positive_similarity"] += own[drawn.any(axis=1)].sum(dtype=np.float64)
                bar.advance(task, len(own))
        return found

    def _pairs(self, pool: str, first: int, sizes: np.ndarray) -> Iterator["_Pairs"]:
        """All pairs of consecutive steps from `first` on, as many at once as there is room for their hits."""
        last, seed = first + len(sizes) - 1, mix64(np.uint64(self._seed))
        count = max(1, _HITS // self._section.window[1])
        tasks, keys = [], []
        for step, size in enumerate(sizes.tolist(), start=first):
            tasks += self._batches.pair_rows(pool, step)
            keys.append(mix64(mix64(seed ^ np.uint64(step)) ^ np.arange(size, dtype=np.uint64)))
            if sum(map(len, keys)) >= _PAIRS or step == last:
                query_id = np.concatenate([rows.query_id for _, rows in tasks])
                positive = np.concatenate([rows.candidate for _, rows in tasks])
                columns = self._embed_queries(pool, tasks), query_id, positive, np.concatenate(keys)
                for start in range(0, len(positive), count):
                    yield _Pairs(*(column[start : start + count] for column in columns))
                tasks, keys = [], []

    def _embed_queries(self, pool: str, tasks: list[tuple[str, PairRows]]) -> np.ndarray:
        """The queries of some pairs, in their order, each by its own tower: float32 [n, d]."""
        tower = np.concatenate([np.full(len(rows.candidate), name) for name, rows in tasks])
        vectors = np.empty((len(tower), self._dimension[pool]), np.float32)
        for name in np.unique(tower).tolist():
            vectors[tower == name] = self._embed_query[name]([rows.raw for own, rows in tasks if own == name])
        return vectors

    def _excluded(self, pool: str) -> KnownPositives:
        """Candidates that are neither positives nor negatives of a query."""
        tasks = [t for t in self._batches.tasks if (t.pool, t.source) == (pool, "engagements")]
        found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        for kind in sorted({task.query_type for task in tasks}):
            query, product = excluded_pairs(self._data, kind, self._batches.entity_types[pool])
            found.append((query + query_space(kind), product))
        query_id, product = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((product, query_id))
        return KnownPositives(query_id[order], product[order])

    def _embed_catalog(self, pool: str, folder: Path) -> np.ndarray:
        """The vectors of the whole catalog of a pool, float32 [candidates, d], memory-mapped."""
        count = self._batches.catalog_sizes[pool]
        vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (count, self._dimension[pool]))
        for start in range(0, count, _PRODUCTS):
            rows = np.arange(start, min(start + _PRODUCTS, count))
            vectors[rows] = self._embed_candidate[pool](rows)
        vectors.flush()
        return vectors


class _Pairs(NamedTuple):
    """Some pairs of a pool.

    query: float32 [n, d], embedded. query_id, positive: int64 [n]. key: uint64 [n], random, for choices.
    """

    query: np.ndarray
    query_id: np.ndarray
    positive: np.ndarray
    key: np.ndarray


def _open_index(vectors: np.ndarray, queries: np.ndarray, folder: Path) -> Index:
    """Exact search in a small catalog; an approximate index, tuned to some of the queries, of a large one."""
    if len(vectors) <= _EXACT:
        return BruteForceIndex(vectors)
    sample = queries[:: -(-len(queries) // _TUNING_QUERIES)]
    build_index(vectors, folder / "index", _RECALL, {"query": sample})
    return load_index(folder / "index")


def _summary(found: Counter) -> dict[str, float]:
    summary = {"pairs": float(found["pairs"]), "without": 1.0 - found["with"] / found["pairs"]}
    if found["drawn"]:
        summary["similarity"] = found["similarity"] / found["drawn"]
        summary["positive_similarity"] = found["positive_similarity"] / found["with"]
    return summary
