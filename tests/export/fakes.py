"""A tiny product tower and query tower, and a bundle of them, so that the export is tested without training."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from export.canaries import product_canaries, query_canaries
from export.embed_catalog import embed_catalog
from export.raw_features import raw_features
from export.saved_model import save_product_tower, save_query_tower
from export.tune_index import tune_index
from tfsage.bundle import Bundle, Manifest
from tfsage.towers.base import Tower
from tfsage.towers.normalize import l2_normalize

DIMENSION, IMAGE, BUCKETS = 8, 4, 64
COLOURS = ("red", "green", "blue", "black", "white")
THINGS = ("chair", "desk", "lamp", "sofa", "shelf", "rug", "bed")


class BagTower(Tower):
    """The sum of its words' vectors, found in a lookup table and a variable, and of its mapped images."""

    def __init__(self, fields: tuple[str, ...], images: bool, seed: int = 1):
        super().__init__()
        self.fields, self.dimension = fields, DIMENSION
        self.raw_signature = {field: tf.TensorSpec([None], tf.string) for field in fields}
        self.feature_signature = {
            "token_ids": tf.TensorSpec([None], tf.int32),
            "token_rows": tf.TensorSpec([None], tf.int64),
            "count": tf.TensorSpec([None, 0], tf.float32),
        }
        if images:
            self.raw_signature["image_embeddings"] = tf.TensorSpec([None, None, IMAGE], tf.float32)
            self.feature_signature["images"] = tf.TensorSpec([None, IMAGE], tf.float32)
        words = tf.constant([*COLOURS, *THINGS])
        ids = tf.range(1, len(words) + 1)
        self.words = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, ids), 0)
        random = np.random.default_rng(seed)
        self.table = tf.Variable(random.normal(size=(BUCKETS, DIMENSION)), name="table", dtype=tf.float32)
        if images:
            self.map = tf.Variable(random.normal(size=(IMAGE, DIMENSION)), name="map", dtype=tf.float32)

    def featurize(self, raw):
        text = tf.strings.join([raw[field] for field in self.fields], " ")
        tokens = tf.strings.split(text)
        features = {
            "token_ids": self.words.lookup(tokens.values),
            "token_rows": tokens.value_rowids(),
            "count": tf.zeros([tf.size(text), 0]),
        }
        if "image_embeddings" in raw:
            features["images"] = tf.reduce_sum(raw["image_embeddings"], axis=1)
        return features

    def call(self, features, training=False):
        rows = tf.shape(features["count"])[0]
        vectors = tf.gather(self.table, features["token_ids"])
        summed = tf.math.unsorted_segment_sum(vectors, features["token_rows"], rows)
        if "images" in features:
            summed += features["images"] @ self.map
        return l2_normalize(summed)


def product_tower(seed: int = 1) -> BagTower:
    return BagTower(("title", "brand"), images=True, seed=seed)


def query_tower(seed: int = 1) -> BagTower:
    return BagTower(("query",), images=False, seed=seed)


def products_table(count: int, seed: int = 0) -> pa.Table:
    """Products of two words, a brand or none, and up to three images."""
    random = np.random.default_rng(seed)
    images = [random.normal(size=(number, IMAGE)).tolist() for number in random.integers(0, 4, count)]
    return pa.table(
        {
            "product_id": [f"p{row}" for row in range(count)],
            "title": [f"{random.choice(COLOURS)} {random.choice(THINGS)}" for _ in range(count)],
            "brand": [random.choice([None, "green", "rug"]) for _ in range(count)],
            "image_embeddings": pa.array(images, pa.list_(pa.list_(pa.float32()))),
        }
    )


def write_products(path: Path, count: int, seed: int = 0) -> Path:
    pq.write_table(products_table(count, seed), path)
    return path


def write_towers(folder: Path, seed: int = 1) -> Bundle:
    """A bundle as `export.towers` leaves it."""
    product, query = product_tower(seed), query_tower(seed)
    save_product_tower(product, folder / "product_tower" / "1")
    save_query_tower(query, folder / "query_tower" / "1")
    inputs = raw_features(products_table(3).to_batches()[0], product.raw_signature, "image_embeddings")
    manifest = Manifest(
        space_id=f"{seed:012x}",
        dimension=DIMENSION,
        tokenizer_fingerprint="t",
        hash_fingerprint="h",
        versions={"tfsage": "0"},
        text_fields=product.fields,
        image_column="image_embeddings",
        query_tower=True,
        canaries=query_canaries(query, ["red chair", "blue lamp"]),
        product_canaries=product_canaries(product, inputs),
    )
    return Bundle(folder, manifest).update(changed=("product_tower", "query_tower"))


def write_bundle(folder: Path, count: int = 60, seed: int = 1) -> Bundle:
    """A complete bundle, ready to be published."""
    bundle = write_towers(folder, seed)
    products = write_products(folder.parent / f"products-{seed}-{count}.parquet", count)
    return tune_index(embed_catalog(bundle, products, batch_size=16), None, 0.95)
