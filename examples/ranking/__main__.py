"""A ranking model for Search that reuses the towers of a published bundle.

    python -m examples.ranking --run runs/demo --root bundles

Four rankers learn from the same impressions: without embeddings; with vectors of the embeddings' Parquet as a feature
table; with both towers as frozen layers; and with the towers fine-tuned along. Impressions come from dev pairs, which
the towers were not trained on: on their own training pairs, embeddings look better than they are, and a ranker learns
to trust them too much. It is measured on test pairs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf
import tf_keras
import typer
from rich.console import Console
from rich.table import Table

from examples.ranking.impressions import Impressions, make_impressions
from examples.ranking.measure import METRICS, by_query, with_intervals
from examples.ranking.model import Ranker, TowerLayer
from export.raw_features import raw_features
from export.saved_model import Signature
from export.tune_index import read_embeddings
from tfsage.bundle import Bundle
from tfsage.errors import TfsageError
from tfsage.training.run import Run

ACTIONS = {"click": 1.0, "save": 1.0, "add_to_cart": 1.0, "checkout": 1.0}
BATCH = 256

Inputs = Callable[[dict[str, tf.Tensor]], dict]
"""From a batch of impressions, column by column, to what a ranker takes."""


def main(
    run: Annotated[Path, typer.Option(help="The run whose data are ranked.")] = Path("runs/demo"),
    root: Annotated[Path, typer.Option(help="Where its bundle is published.")] = Path("bundles"),
    queries: Annotated[int, typer.Option(help="Queries to learn from, and as many to measure with.")] = 1000,
    epochs: Annotated[int, typer.Option(help="Passes over the impressions.")] = 5,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Trains the rankers and prints AUC and nDCG by query."""
    bundle, opened = Bundle.current(root), Run.open(run)
    train, test = (make_impressions(opened.data, split, ACTIONS, queries, seed) for split in ("dev", "test"))
    features = Features(bundle, opened)
    scores = rank(bundle, features, train, test, epochs, seed)
    Console().print(results(test, scores))


class Features:
    """What rankers read of a batch of impressions: vectors of the feature table, or what the towers take."""

    def __init__(self, bundle: Bundle, run: Run):
        product_tower, query_tower = Signature(bundle.product_tower), Signature(bundle.query_tower)
        products = pq.read_table(run.data.folder / "products.parquet").combine_chunks().to_batches()[0]
        self._products = raw_features(products, product_tower.inputs, bundle.manifest.image_column)
        self._texts = np.array([text.encode() for text in run.data.queries("query").texts], object)
        self._product_vectors, ids = read_embeddings(bundle)
        if ids["product_id"].to_pylist() != products.column("product_id").to_pylist():
            raise TfsageError(f"{bundle.folder}: its embeddings are of another catalog than the run's; publish the run")
        parts = np.array_split(self._texts, -(-len(self._texts) // BATCH))
        self._query_vectors = np.concatenate([query_tower(query=part) for part in parts])

    def table(self, rows: dict[str, tf.Tensor]) -> dict:
        """Products from the bundle's Parquet, queries from the tower that serves them."""
        query, product = self._query_vectors, self._product_vectors
        return rows | {"query": tf.gather(query, rows["query"]), "product": tf.gather(product, rows["product"])}

    def raw(self, rows: dict[str, tf.Tensor]) -> dict:
        """The raw inputs of both towers."""
        product = {name: tf.gather(values, rows["product"]) for name, values in self._products.items()}
        return rows | {"query": {"query": tf.gather(self._texts, rows["query"])}, "product": product}


def rank(
    bundle: Bundle, features: Features, train: Impressions, test: Impressions, epochs: int, seed: int
) -> dict[str, np.ndarray]:
    """Scores of the test rows by every ranker."""
    normalization = tf_keras.layers.Normalization()
    normalization.adapt(train.context)
    scores = {}
    for name, inputs, towers in (
        ("without embeddings", features.table, ()),
        ("feature table", features.table, ()),
        ("frozen towers", features.raw, (TowerLayer(bundle.query_tower), TowerLayer(bundle.product_tower))),
    ):
        tf_keras.utils.set_random_seed(seed)
        ranker = Ranker(normalization, name != "without embeddings", *towers)
        fit(ranker, inputs, train, epochs, learning_rate=1e-3)
        scores[name] = predict(ranker, inputs, test)
    # The last ranker goes on with its towers unfrozen, in small steps: what they have learned is worth more than
    # these few impressions.
    for tower in towers:
        tower.trainable = True
    fit(ranker, inputs, train, epochs=1, learning_rate=1e-4)
    scores["fine-tuned towers"] = predict(ranker, inputs, test)
    return scores


def fit(ranker: Ranker, inputs: Inputs, train: Impressions, epochs: int, learning_rate: float) -> list[float]:
    """Trains the ranker, and returns the mean loss of every epoch."""
    ranker.compile(tf_keras.optimizers.Adam(learning_rate), tf_keras.losses.BinaryCrossentropy(from_logits=True))
    rows = tf.data.Dataset.from_tensor_slices(train._asdict()).shuffle(len(train.label), seed=1).batch(BATCH)
    batches = rows.map(lambda own: (inputs(own), own["label"]))
    return ranker.fit(batches, epochs=epochs, verbose=0).history["loss"]


def predict(ranker: Ranker, inputs: Inputs, test: Impressions) -> np.ndarray:
    """float32 [rows]."""
    return ranker.predict(tf.data.Dataset.from_tensor_slices(test._asdict()).batch(BATCH).map(inputs), verbose=0)


def results(test: Impressions, scores: dict[str, np.ndarray]) -> Table:
    """Means over queries with intervals; differences from the first ranker are paired."""
    table = Table(title=f"{len(np.unique(test.query)):,} test queries, {len(test.query):,} impressions")
    for column in ("ranker", *METRICS, *(f"{metric} − without" for metric in METRICS)):
        table.add_column(column, justify="left" if column == "ranker" else "right")
    values = {name: by_query(test.query, test.label, score) for name, score in scores.items()}
    first = next(iter(values.values()))
    for name, own in values.items():
        cells = with_intervals(np.concatenate([own, own - first], axis=1))
        shown = [f"{mean:.3f} \\[{low:.3f}, {high:.3f}]" for mean, low, high in cells]
        table.add_row(name, *(shown if own is not first else shown[:2]))
    return table


if __name__ == "__main__":
    typer.run(main)
