"""The queries that tune an index and measure it: those held out from training, in the space of the products."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from export.saved_model import Signature
from tfsage.bundle import Bundle
from tfsage.embedding import embed_queries
from tfsage.training.run import Run

MOST = 2000
"""Queries of one kind. Half of them measure: enough for a recall of .95 to within .01 (its standard error among 1,000
queries is about .003)."""

_BATCH = 32
_NOISE = 0.5
_SEED = 1


class Halves(NamedTuple):
    """Queries in two halves: those that tune an index, and those that say afterwards how well it recalls.

    Each is kind of query -> float32 [q, dimension]. A query that is the only one of its kind is in both.
    """

    tuning: dict[str, np.ndarray]
    measuring: dict[str, np.ndarray]


def held_out_queries(run: Run, bundle: Bundle) -> Halves:
    """Up to `MOST` dev queries of each query type, embedded: text through the exported query tower, frozen ones
    through the tower they were trained with.

    Only towers that share the space count: those of tasks whose candidates are the exported products.

    Kinds without dev queries are left out.
    """
    kinds: dict[tuple[str, str], list[np.ndarray]] = {}
    for task in run.config.tasks:
        if task.source != "engagements" or task.pool != run.config.export.product_tower:
            continue
        if task.query_type in run.data.manifest["queries"]:
            pairs = run.data.pairs("dev", task.surface, task.query_type, task.actions, task.entity_type)
            kinds.setdefault((task.query_tower, task.query_type), []).append(pairs.query)
    towers = run.load_towers()
    halves = Halves({}, {})
    for (name, query_type), parts in kinds.items():
        rows = _sample(np.unique(np.concatenate(parts)))
        if len(rows) == 0:
            continue
        if name == run.config.export.query_tower:
            vectors = _embed_texts(bundle, run.data.queries(query_type).texts.gather(rows))
        else:
            vectors = embed_queries(towers[name], run.data, query_type, rows)
        _add(halves, f"{query_type} through {name}", vectors, run.data.queries(query_type).ids.gather(rows))
    return halves


def perturbed_products(vectors: np.ndarray) -> Halves:
    """Up to `MOST` product vectors with noise of half their length added, for a space without held-out queries.

    They lie nearer to the products than real queries do, so the recall measured with them is on the high side.
    """
    rows = _sample(np.arange(len(vectors)))
    noise = np.random.default_rng(_SEED).normal(
        scale=_NOISE / np.sqrt(vectors.shape[1]), size=(len(rows), vectors.shape[1])
    )
    moved = vectors[rows] + noise
    moved = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    halves = Halves({}, {})
    _add(halves, "perturbed products", moved, rows)
    return halves


def _add(halves: Halves, kind: str, vectors: np.ndarray, ids: Sequence) -> None:
    """Deals the queries out in the order of a hash of their ids, so that neither half depends on anything else."""
    order = sorted(range(len(ids)), key=lambda place: hashlib.sha256(str(ids[place]).encode()).digest())
    halves.tuning[kind] = vectors[order[::2]]
    halves.measuring[kind] = vectors[order[1::2] or order]


def _sample(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= MOST:
        return rows
    return np.sort(np.random.default_rng(_SEED).choice(rows, MOST, replace=False))


def _embed_texts(bundle: Bundle, texts: list[str]) -> np.ndarray:
    tower = Signature(bundle.query_tower)
    return np.concatenate([tower(query=texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)])
