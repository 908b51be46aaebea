"""Exact ranks against what the machine can multiply, and against `tfrs.metrics.FactorizedTopK`.

    python -m benchmarks.exact_ranks [--smoke]
    python -m benchmarks.exact_ranks --full STATE

Three figures: the share of the machine's matmul rate (BLAS on all cores, measured in turn with ours) that `rank_dense`
reaches, counting the multiplications alone as work; how many times faster it is than FactorizedTopK (k = 100) on the
same embeddings, in the tutorial's batches of 128 candidates ("ratio") and in batches that suit it better; and by how
much the anonymous memory of a process grows while it ranks against 100,000 and against 1,000,000 products on disk.

--full ranks 80,000 pairs among 1,000,000 products of 256 dimensions, once; STATE is a file, and the same command goes
on from it after a kill.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from benchmarks.timing import interleave
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.judgements import Judgements

OURS = "tfsage"
_PRODUCT_BLOCKS = ((1024, 4096), (2048, 2048), (4096, 8192))
"""Rows and columns of the blocks in which the multiplications alone are done; the fastest counts."""
_TUTORIAL_BATCH, _LARGE_BATCH = 128, 8192
_MEGABYTE = 2**20


class Sizes(NamedTuple):
    """What is ranked: `queries`, one pair each, among `products`; `tfrs_queries` of them by FactorizedTopK too."""

    queries: int
    products: int
    dimension: int
    tfrs_queries: int
    memory: tuple[int, int]
    rounds: int


DEFAULT = Sizes(8192, 131_072, 256, 1024, (100_000, 1_000_000), 5)
SMOKE = Sizes(256, 4096, 16, 64, (2000, 8000), 2)
FULL = Sizes(80_000, 1_000_000, 256, 0, (0, 0), 1)


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    full: Annotated[Path | None, typer.Option(help="Rank 80,000 × 1,000,000 once, with this state file.")] = None,
    grow: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Prints what was measured and, as the last line, one JSON object."""
    if grow is not None:
        print(_growth(grow))
        return
    if full is not None:
        print(json.dumps(_rank_all(FULL, full)))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_compare(SMOKE if smoke else DEFAULT, Path(folder))))


def _compare(sizes: Sizes, folder: Path) -> dict:
    queries, products, judgements = _problem(sizes.queries, sizes.products, sizes.dimension)
    work = 2 * sizes.queries * sizes.products * sizes.dimension
    alone = {f"product in blocks of {rows} × {columns}": (rows, columns) for rows, columns in _PRODUCT_BLOCKS}
    sides = {OURS: lambda: rank_dense(queries, products, judgements)}
    sides |= {name: _product(queries, products, *block) for name, block in alone.items()}
    seconds = interleave(sides, sizes.rounds)
    share = min(seconds[name] for name in alone) / seconds[OURS]
    print(f"{sizes.queries:,} × {sizes.products:,} × {sizes.dimension}")
    for name, value in seconds.items():
        print(f"{name:>32} {value:8.3f} s {work / value / 1e9:8.1f} GFLOP/s")

    some, products, asked = _problem(sizes.tfrs_queries, sizes.products, sizes.dimension)
    sides = {OURS: lambda: rank_dense(some, products, asked)}
    theirs = {batch: f"FactorizedTopK, batches of {batch}" for batch in (_TUTORIAL_BATCH, _LARGE_BATCH)}
    sides |= {name: _factorized(some, products, asked, batch) for batch, name in theirs.items()}
    seconds = interleave(sides, max(2, sizes.rounds // 2))
    print(f"{sizes.tfrs_queries:,} × {sizes.products:,} × {sizes.dimension}")
    for name, value in seconds.items():
        print(f"{name:>32} {value:8.3f} s")
    ratios = {batch: round(seconds[name] / seconds[OURS], 2) for batch, name in theirs.items()}

    memory = {count: _grown(count, sizes, folder) for count in sizes.memory}
    for count, grown in memory.items():
        print(f"memory while ranking against {count:,} products: {grown:.0f} MB")
    return {
        "name": "exact_ranks",
        "against": "tfrs.metrics.FactorizedTopK as in its tutorial",
        "ratio": ratios[_TUTORIAL_BATCH],
        "ratio_in_large_batches": ratios[_LARGE_BATCH],
        "rounds": sizes.rounds,
        "share_of_matmul": round(share, 3),
        "memory_mb": {str(count): round(grown) for count, grown in memory.items()},
    }


def _problem(queries: int, products: int, dimension: int) -> tuple[np.ndarray, np.ndarray, Judgements]:
    """Queries that lie near their products, as those of a model do: about one in 10,000 products ranks higher."""
    rng = np.random.default_rng(0)
    vectors = _unit(rng.standard_normal((products, dimension), dtype=np.float32))
    product = rng.integers(products, size=queries)
    noise = rng.standard_normal((queries, dimension), dtype=np.float32) * np.float32(3.0 / np.sqrt(dimension))
    asked = _unit(vectors[product] + noise)
    every = np.arange(queries)
    return asked, vectors, Judgements(every, product, np.ones(queries), products, rng.permutation(products))


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _product(queries: np.ndarray, products: np.ndarray, rows: int, columns: int):
    """The multiplications of a ranking alone, by BLAS with all of its threads."""
    out = np.empty(min(rows, len(queries)) * min(columns, len(products)), np.float32)

    def multiply() -> None:
        for first in range(0, len(queries), rows):
            block = queries[first : first + rows]
            for start in range(0, len(products), columns):
                other = products[start : start + columns]
                np.matmul(block, other.T, out=out[: len(block) * len(other)].reshape(len(block), len(other)))

    return multiply


def _factorized(queries: np.ndarray, products: np.ndarray, judgements: Judgements, batch: int):
    """FactorizedTopK as the tutorial uses it: brute force over batches of candidates; the k are the paper's."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    candidates = tf.data.Dataset.from_tensor_slices(products).batch(batch)
    metric = tfrs.metrics.FactorizedTopK(candidates, ks=(10, 100))
    asked, positives = tf.constant(queries), tf.constant(products[judgements.product])

    def update() -> None:
        metric.reset_states()
        metric.update_state(asked, positives)

    return update


def _grown(products: int, sizes: Sizes, folder: Path) -> float:
    """Megabytes by which a process of its own grows while it ranks against products on disk."""
    rng = np.random.default_rng(0)
    vectors = np.lib.format.open_memmap(folder / "products.npy", "w+", np.float32, (products, sizes.dimension))
    for start in range(0, products, 65_536):
        rows = min(65_536, products - start)
        vectors[start : start + rows] = _unit(rng.standard_normal((rows, sizes.dimension), dtype=np.float32))
    vectors.flush()
    np.save(folder / "queries.npy", np.asarray(vectors[: sizes.tfrs_queries]))
    command = [sys.executable, "-m", "benchmarks.exact_ranks", "--grow", str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _growth(folder: Path) -> float:
    queries = np.load(folder / "queries.npy")
    products = np.load(folder / "products.npy", mmap_mode="r")
    every = np.arange(len(queries))
    before, peak, done = _anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], _anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    judgements = Judgements(every, every, np.ones(len(every)), len(products), np.arange(len(products)))
    rank_dense(queries, products, judgements)
    done.set()
    watcher.join()
    return max(peak[0], _anonymous()) - before


def _anonymous() -> float:
    """Megabytes of this process that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / _MEGABYTE


def _rank_all(sizes: Sizes, state: Path) -> dict:
    kept = state.exists()
    queries, products, judgements = _problem(sizes.queries, sizes.products, sizes.dimension)
    start = time.perf_counter()
    ranks = rank_dense(queries, products, judgements, state=state)
    seconds = time.perf_counter() - start
    state.unlink(missing_ok=True)
    done = "what was left of " if kept else ""
    print(f"{done}{sizes.queries:,} × {sizes.products:,} × {sizes.dimension}: {seconds:.0f} s")
    return {
        "name": "exact_ranks_full",
        "against": "15 minutes",
        "ratio": round(15 * 60 / seconds, 2),
        "rounds": 1,
        "seconds": round(seconds),
        "continued": kept,
        "cores": len(os.sched_getaffinity(0)),
        "recall@10": round(float(ranks.pair.hits(10).mean()), 4),
    }


if __name__ == "__main__":
    typer.run(main)
