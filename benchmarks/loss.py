"""Forward and backward of the loss at a batch of 8,192, against its matrix products alone and against dense builds.

    python -m benchmarks.loss [--smoke]

Ours is the loss that training takes: in-batch negatives alone, or with as many random ones (the paper's sum), copies
and other positives found by their ids, a learned temperature. Its matrix products are logits = Q Cᵀ, then P C and Pᵀ Q,
in chunks of rows or whole, whichever is fastest. The dense build writes the same loss down with the whole logit matrix
and automatic gradients, and gets its masks for nothing; that it agrees with ours to 1e-4 is checked in the run.
tfrs.tasks.Retrieval has in-batch negatives only, and no masks. Peak memory is what a process of its own grows by.
"""

import json
import multiprocessing
from pathlib import Path
from typing import Annotated

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
import typer

from benchmarks.timing import interleave
from tfsage.config import LossConfig
from tfsage.losses import IN_BATCH, RANDOM, Candidates, QueryRows, SampledSoftmaxTask

TOLERANCE = 1e-4
CHUNKS = (512, 1024)
"""Rows of a chunk of the matrix products alone, besides all rows at once."""

OURS, DENSE, TFRS = "tfsage", "dense", "tfrs.tasks.Retrieval"


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    batch_size: Annotated[int, typer.Option(help="Pairs in the batch; as many random negatives are added.")] = 8192,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 7,
) -> None:
    """Prints milliseconds and megabytes of every build and, as the last line, one JSON object."""
    dimension = 256
    if smoke:
        batch_size, dimension, rounds = 1024, 32, 2
    seconds, peaks, result = {}, {}, {"name": "loss", "against": "its matrix products alone"}
    for negatives in ("in_batch", "sum"):
        builds = _builds(negatives, batch_size, dimension)
        _agree(builds[OURS](), builds[DENSE]())
        seconds[negatives] = _fastest_products(interleave(builds, rounds))
        peaks[negatives] = {name: _peak(name, negatives, batch_size, dimension) for name in (OURS, DENSE)}

    for negatives, times in seconds.items():
        print(f"{batch_size} pairs, negatives {negatives}, dimension {dimension}:")
        for name, value in times.items():
            times_products = value / times["matrix products"]
            memory = f"{peaks[negatives][name]:8.0f} MB" if name in peaks[negatives] else ""
            print(f"{name:>22} {value * 1e3:8.0f} ms {times_products:7.2f} × its products {memory}")
    both, alone = seconds["sum"], seconds["in_batch"]
    result |= {"ratio": round(both["matrix products"] / both[OURS], 3), "rounds": rounds}
    result["in_batch_ratio"] = round(alone["matrix products"] / alone[OURS], 3)
    result["dense_ratio"] = round(both[DENSE] / both[OURS], 2)
    result["tfrs_ratio"] = round(alone[TFRS] / alone[OURS], 2)
    result["dense_memory_ratio"] = round(peaks["sum"][DENSE] / max(peaks["sum"][OURS], 1.0), 1)
    print(json.dumps(result))


def _builds(negatives: str, batch_size: int, dimension: int) -> dict:
    """Name -> a function that computes the mean loss and its gradients; for the matrix products, those alone."""
    rows, candidates = _batch(batch_size, dimension)
    valid = tf.constant(_valid(rows.query_id.numpy(), candidates.id.numpy()))
    task = SampledSoftmaxTask(LossConfig(negatives=negatives))
    inputs = [rows.embedding, candidates.embedding]

    def ours(queries, embedding):
        losses = task.total(rows._replace(embedding=queries), candidates._replace(embedding=embedding))
        return losses.total / batch_size

    def dense(queries, embedding):
        scale = 1.0 / task.temperature()
        scores = tf.matmul(queries, embedding, transpose_b=True) * scale
        positive, log_q = tf.linalg.diag_part(scores[:, :batch_size]), candidates.log_q[:batch_size]
        losses = _dense_rows(positive - log_q, scores[:, :batch_size] - log_q, valid[:, :batch_size])
        if negatives == "sum":
            losses += _dense_rows(positive, scores[:, batch_size:], valid[:, batch_size:])
        return tf.reduce_mean(losses)

    builds = {OURS: _with_gradients(ours, inputs), DENSE: _with_gradients(dense, inputs)}
    if negatives == "in_batch":
        retrieval = tfrs.tasks.Retrieval(temperature=0.07)
        inputs = [rows.embedding, candidates.embedding[:batch_size]]
        builds[TFRS] = _with_gradients(lambda *embeddings: retrieval(*embeddings) / batch_size, inputs)
    columns = candidates.embedding[: batch_size * (2 if negatives == "sum" else 1)]
    for chunk in (*CHUNKS, batch_size):
        builds[f"matrix products, {chunk} rows"] = _products(rows.embedding, columns, min(chunk, batch_size))
    return builds


def _batch(batch_size: int, dimension: int) -> tuple[QueryRows, Candidates]:
    """Unit vectors, entities by Zipf's law, queries that come back now and then."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((3 * batch_size, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    catalog = 100 * batch_size
    frequency = 1.0 / np.arange(10, catalog + 10)
    frequency /= frequency.sum()
    positive = rng.choice(catalog, batch_size, p=frequency)
    query = rng.integers(0, 20 * batch_size, batch_size)
    candidates = Candidates(
        embedding=tf.constant(vectors[batch_size:]),
        id=tf.constant(np.concatenate([positive, rng.integers(0, catalog, batch_size)])),
        query_id=tf.constant(np.concatenate([query, np.full(batch_size, -1)])),
        source=tf.repeat([IN_BATCH, RANDOM], batch_size),
        log_q=tf.constant(np.log(np.append(frequency[positive], np.full(batch_size, 1 / catalog))), tf.float32),
        weight=tf.ones([2 * batch_size]),
    )
    rows = QueryRows(tf.constant(vectors[:batch_size]), tf.constant(query), tf.range(batch_size), tf.ones([batch_size]))
    return rows, candidates


def _valid(query: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """bool [B, n]: the columns that are negatives of a row; copies of its positive are, among the in-batch ones."""
    valid, columns, positives = np.ones((len(query), len(ids)), bool), {}, {}
    for column, entity in enumerate(ids):
        columns.setdefault(entity, []).append(column)
    for row, asked in enumerate(query):
        positives.setdefault(asked, set()).add(ids[row])
    for row, asked in enumerate(query):
        for entity in positives[asked]:
            own = entity == ids[row]
            valid[row, [c for c in columns[entity] if not own or c == row or c >= len(query)]] = False
    return valid


def _dense_rows(positive: tf.Tensor, logits: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    logits = tf.where(valid, logits, logits.dtype.min)
    logits = tf.concat([positive[:, None], logits], 1)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros_like(positive, tf.int32), logits)


def _with_gradients(loss, inputs: list[tf.Tensor]):
    @tf.function
    def step(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = loss(*inputs)
        return value, *(tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, inputs))

    return lambda: [part.numpy() for part in step(*inputs)]


def _products(queries: tf.Tensor, columns: tf.Tensor, chunk: int):
    """The three matrix products of forward and backward, in chunks of rows, and nothing else."""

    @tf.function
    def step(queries, columns):
        summed, parts = tf.zeros_like(columns), []
        for first in range(0, queries.shape[0], chunk):
            # One chunk after the other, as in the loss.
            with tf.control_dependencies([summed]):
                own = queries[first : first + chunk] + 0.0
            logits = tf.matmul(own, columns, transpose_b=True)
            product = tf.matmul(logits, own, transpose_a=True)
            summed = product if first == 0 else summed + product
            parts.append(tf.matmul(logits, columns))
        return tf.concat(parts, 0), summed

    return lambda: [part.numpy() for part in step(queries, columns)]


def _fastest_products(seconds: dict[str, float]) -> dict[str, float]:
    products = [value for name, value in seconds.items() if name.startswith("matrix products")]
    rest = {name: value for name, value in seconds.items() if not name.startswith("matrix products")}
    return {"matrix products": min(products), **rest}


def _peak(name: str, negatives: str, batch_size: int, dimension: int) -> float:
    """Megabytes that a process grows by when it runs a build for the first time."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (name, negatives, batch_size, dimension))


def _growth(name: str, negatives: str, batch_size: int, dimension: int) -> float:
    _builds(negatives, 256, dimension)[name]()
    build = _builds(negatives, batch_size, dimension)[name]
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts again from what is in use now.
    before = _peak_of_process()
    build()
    return _peak_of_process() - before


def _peak_of_process() -> float:
    """Megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _agree(ours: list[np.ndarray], dense: list[np.ndarray]) -> None:
    error = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(ours, dense, strict=True))
    if not error < TOLERANCE:
        raise SystemExit(f"tfsage and the dense build differ by {error:.1e}, more than {TOLERANCE}")


if __name__ == "__main__":
    typer.run(main)
