"""A published bundle for benchmarks of retrieval: a real n-gram query tower, untrained, over a synthetic catalog."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from export.saved_model import save_query_tower
from tfsage.bundle import Bundle, Canaries, IndexSummary, Manifest, ProductCanaries, embeddings_schema, point_current
from tfsage.config import load_config
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.data.synthetic import write_shop
from tfsage.index import build_index
from tfsage.text.vocabulary import Vocabulary
from tfsage.towers.base import Tower
from tfsage.towers.factory import build_towers

DIMENSION = 256
_CLUSTER = 100


def query_tower(scratch: Path, seed: int) -> tuple[Tower, list[str]]:
    """The demo's n-gram tower with random weights, and the queries of the synthetic shop whose words it knows."""
    config = load_config("configs/demo.yaml")
    tables, data = scratch / "tables", scratch / "data"
    if not data.exists():
        write_shop(tables, products=1000, seed=1)
        prepare(tables, config, data)
    prepared = PreparedData(data)
    tf.random.set_seed(seed)
    towers = build_towers(config, Vocabulary.load(prepared.vocabulary_folder), None, prepared.text_fields)
    return towers["text"], pq.read_table(tables / "queries.parquet")["text"].to_pylist()


def publish_bundle(root: Path, scratch: Path, products: int, seed: int = 1) -> tuple[Bundle, list[str]]:
    """Publishes a bundle below `root`; another seed is another space.

    Vectors of products lie in clusters of a hundred around random directions, as those of a catalog do.

    Returns:
        the bundle, and distinct queries.
    """
    tower, queries = query_tower(scratch, seed)
    space_id = hashlib.sha256(f"{products} {seed}".encode()).hexdigest()[:12]
    folder = root / space_id
    canaries = queries[:4]
    vectors_of_canaries = tower.embed({"query": tf.constant(canaries)}).numpy()
    save_query_tower(tower, folder / "query_tower" / "1")

    vectors = _clustered(products, seed)
    ids = pa.array([f"product-{row}" for row in range(products)])
    titles = pa.array([f"{queries[row % len(queries)]} {row}" for row in range(products)])
    (folder / "embeddings").mkdir()
    schema = embeddings_schema(pa.string(), DIMENSION).with_metadata({"space_id": space_id})
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION)
    table = pa.table([ids, titles, embedding, pa.repeat(space_id, products)], schema=schema)
    pq.write_table(table, folder / "embeddings" / "part-00000.parquet")

    id_map = pa.table({"product_id": ids, "title": titles})
    tuned = {"products": vectors[:: max(1, products // 500)]}
    report = build_index(vectors, folder / "index", 0.9, tuned, space_id=space_id, id_map=id_map)
    manifest = Manifest(
        space_id=space_id,
        dimension=DIMENSION,
        tokenizer_fingerprint="benchmark",
        hash_fingerprint=f"seed {seed}",
        versions={},
        text_fields=("title",),
        image_column=None,
        query_tower=True,
        canaries=Canaries(queries=canaries, vectors=vectors_of_canaries.tolist()),
        product_canaries=ProductCanaries(inputs={}, vectors=[]),
        products=products,
        index=IndexSummary.of(report, tuned_on="its own vectors"),
    )
    bundle = Bundle(folder, manifest).update(("embeddings", "index", "query_tower"))
    point_current(root, folder.name)
    return bundle, list(dict.fromkeys(queries))


def _clustered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((-(-count // _CLUSTER), DIMENSION), np.float32)
    vectors = centres[rng.integers(0, len(centres), count)] + rng.standard_normal((count, DIMENSION), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
