"""Embeds a catalog or a set of queries with a tower, batch by batch."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfsage.console import progress
from tfsage.data.features import candidate_features
from tfsage.data.prepared import PreparedData
from tfsage.data.schema import TABLE_OF_TYPE
from tfsage.towers.base import Tower


def embed_products(tower: Tower, data: PreparedData, rows=None, batch_size: int = 256) -> np.ndarray:
    """Embeds products: `embed_entities` of the type `product`."""
    return embed_entities(tower, data, "product", rows, batch_size)


def embed_entities(tower: Tower, data: PreparedData, entity_type: str, rows=None, batch_size: int = 256) -> np.ndarray:
    """Embeds the entities of one type.

    Args:
        tower: one that is trained on candidates of this type.
        data: the prepared folder.
        entity_type: product, pin or query.
        rows: int64 [n], rows of its catalog; all of it by default.
        batch_size: entities embedded at once.

    Returns:
        float32 [n, dimension], unit vectors.
    """
    rows = np.arange(data.entity(entity_type).count) if rows is None else np.asarray(rows, np.int64)
    return entity_embedder(tower, data, entity_type, batch_size)(rows)


def entity_embedder(
    tower: Tower, data: PreparedData, entity_type: str, batch_size: int = 256
) -> Callable[[np.ndarray], np.ndarray]:
    """A function that embeds as `embed_entities` does, compiled once: from int64 [n] to float32 [n, dimension]."""
    features = candidate_features(data, tower, entity_type)
    if entity_type == "query":
        call = tf.function(tower.embed, input_signature=[tower.raw_signature])
    else:
        call = tf.function(tower.call, input_signature=[tower.feature_signature])
    title = f"Embedding {TABLE_OF_TYPE[entity_type]}"
    return lambda rows: _embed(lambda part: call(features(part)), rows, tower.dimension, batch_size, title)


def embed_queries(tower: Tower, data: PreparedData, query_type: str, rows=None, batch_size: int = 256) -> np.ndarray:
    """Embeds the queries of one type with a query tower; arguments and result as for `embed_entities`."""
    queries = data.queries(query_type)
    rows = np.arange(queries.count) if rows is None else np.asarray(rows, np.int64)
    call = tf.function(tower.embed, input_signature=[tower.raw_signature])

    def embed(part: np.ndarray):
        if "embedding" in tower.raw_signature:
            return call({"embedding": np.asarray(queries.embeddings[part], np.float32)})
        return call({"query": np.array([text.encode() for text in queries.texts.gather(part)], object)})

    return _embed(embed, rows, tower.dimension, batch_size, f"Embedding {query_type} queries")


def query_embedder(tower: Tower, batch_size: int = 256) -> Callable[[Sequence[dict[str, np.ndarray]]], np.ndarray]:
    """A function that embeds raw queries, compiled once.

    Args:
        tower: a query tower.
        batch_size: queries embedded at once.

    Returns:
        a function from groups of raw queries, each of them a name → value [n_i, ...] that has the names of
        `tower.raw_signature`, to float32 [Σ n_i, dimension], unit vectors.
    """
    call = tf.function(tower.embed, input_signature=[tower.raw_signature])

    def embed(groups: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
        raw = {name: np.concatenate([group[name] for group in groups]) for name in tower.raw_signature}
        size = len(next(iter(raw.values())))
        vectors = np.empty((size, tower.dimension), np.float32)
        for start in range(0, size, batch_size):
            part = slice(start, start + batch_size)
            vectors[part] = call({name: value[part] for name, value in raw.items()})
        return vectors

    return embed


def _embed(embed, rows: np.ndarray, dimension: int, batch_size: int, title: str) -> np.ndarray:
    vectors = np.empty((len(rows), dimension), np.float32)
    with progress() as bar:
        task = bar.add_task(title, total=len(rows), note="")
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            vectors[start : start + len(part)] = embed(part)
            bar.advance(task, len(part))
    return vectors
