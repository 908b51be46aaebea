"""Query tower and index as one SavedModel, for a model server whose image has ScaNN's operations."""

import importlib
import math
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from export.saved_model import EMBEDDING
from export.tune_index import read_embeddings
from export.tuning_queries import Halves
from tfsage.bundle import Bundle
from tfsage.console import console
from tfsage.data.staging import staged_folder
from tfsage.errors import TfsageError
from tfsage.index.brute_force import BruteForceIndex

REORDER = 100
"""Candidates per query whose score is computed anew in float32."""


class Retriever(tf.Module):
    """Query text → ids and scores of the nearest products.

    Args:
        query_tower: folder of the bundle's SavedModel.
        index: a TFRS layer over the bundle's embeddings, with string identifiers.
    """

    def __init__(self, query_tower: Path, index: tfrs.layers.factorized_top_k.TopK):
        super().__init__()
        self._tower, self._index = tf.saved_model.load(str(query_tower)), index

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "query")])
    def retrieve(self, query: tf.Tensor) -> dict[str, tf.Tensor]:
        """ids string [queries, k] and scores float32 [queries, k], best first; "" and -inf where there are fewer."""
        vectors = self._tower.signatures["serving_default"](query=query)[EMBEDDING]
        # ScaNN fails on an empty batch.
        rows = tf.shape(vectors)[0]
        scores, ids = self._index(tf.pad(vectors, [[0, tf.cast(rows == 0, tf.int32)], [0, 0]]))
        scores, ids = scores[:rows], ids[:rows]
        # Where the searched leaves hold fewer than k products, ScaNN says NaN beside an id that means nothing.
        found = ~tf.math.is_nan(scores)
        return {"ids": tf.where(found, ids, ""), "scores": tf.where(found, scores, -np.inf)}


def save_retriever(
    bundle: Bundle, queries: Halves, recall_target: float, k: int, out: Path, leaves: int | None = None
) -> float:
    """Builds the index, with as many leaves searched as the target asks for, and writes OUT/1.

    The layer fixes k and the leaves that are searched when it is saved. So it is built with a tenth of the leaves
    searched, then twice as many, until every kind of query finds what exact search does.

    Args:
        bundle: with its query tower and its embeddings.
        queries: those that choose how many leaves are searched, and those that measure recall@k then.
        recall_target: the recall@k that every kind shall reach.
        k: products per query.
        out: the folder, as a model server takes it: versions below.
        leaves: of the tree; the square root of the number of products by default.

    Returns:
        the measured recall@k of the kind that recalls least.

    Raises:
        TfsageError: ScaNN's operations cannot be loaded, the bundle has no query tower or no embeddings, or they are
            of another space.
    """
    try:
        importlib.import_module("scann.scann_ops.py.scann_ops")
    except Exception as error:
        raise TfsageError(
            f"a retriever needs ScaNN's TensorFlow operations, which cannot be loaded ({error}); install the pinned "
            f"scann[tf], or do without: the bundle's index needs none"
        ) from None
    if bundle.query_tower is None or bundle.manifest.products is None:
        missing = "query tower" if bundle.query_tower is None else "embeddings; run python -m export.catalog first"
        raise TfsageError(f"{bundle.folder}: a retriever needs a query tower and embeddings, and there is no {missing}")
    bundle.check_embeddings()
    vectors, id_map = read_embeddings(bundle)
    ids = tf.constant(np.array([str(name).encode() for name in id_map["product_id"].to_pylist()], object))
    leaves = min(leaves or math.isqrt(len(vectors)), len(vectors))
    searched, k = max(1, leaves // 10), min(k, len(vectors))
    while True:
        index = build_layer(vectors, ids, k, leaves, searched)
        recall = _recall(index, queries.tuning, vectors, ids, k)
        console.print(f"{searched} of {leaves} leaves searched: recall@{k} {recall:.3f}")
        if recall >= recall_target or searched == leaves:
            break
        searched = min(2 * searched, leaves)
    with staged_folder(out, "1/saved_model.pb") as folder:
        retriever = Retriever(bundle.query_tower, index)
        options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
        tf.saved_model.save(retriever, str(folder / "1"), {"serving_default": retriever.retrieve}, options)
    return _recall(index, queries.measuring, vectors, ids, k)


def build_layer(
    vectors: np.ndarray, ids: tf.Tensor, k: int, leaves: int, searched: int, reorder: int = REORDER
) -> tfrs.layers.factorized_top_k.ScaNN:
    """TFRS' ScaNN layer over unit vectors float32 [n, dimension] with ids string [n]."""
    layer = tfrs.layers.factorized_top_k.ScaNN(
        k=k,
        num_leaves=leaves,
        num_leaves_to_search=searched,
        num_reordering_candidates=min(max(reorder, k), len(vectors)),
    )
    return layer.index(tf.constant(vectors), ids)


def _recall(index, queries: dict[str, np.ndarray], vectors: np.ndarray, ids: tf.Tensor, k: int) -> float:
    """The share of the exact answers that the layer finds, for the kind of query that finds least."""
    exact, names, recalls = BruteForceIndex(vectors), ids.numpy(), []
    for own in queries.values():
        wanted, found = names[exact.search(own, k).rows], index(tf.constant(own))[1].numpy()
        recalls.append(np.mean([len(np.intersect1d(*pair)) / k for pair in zip(found, wanted, strict=True)]))
    return float(min(recalls))
