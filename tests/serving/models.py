"""Tiny SavedModels and a small published bundle, for the tests of serving."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from tfsage.bundle import (
    Bundle,
    Canaries,
    IndexSummary,
    Manifest,
    ProductCanaries,
    embeddings_schema,
    point_current,
)
from tfsage.index import build_index
from tfsage.serving.client import embed_request
from tfsage.serving.warmup import write_warmup_requests

DIMENSION = 16
BUCKETS = 256
TITLES = ("walnut desk", "oak desk", "walnut chair", "red lamp", "steel sink", "blue rug")
CANARIES = ["", "walnut desk", "a red lamp"]


class TinyTower(tf.Module):
    """Sums hashed words of its text inputs, in a graph that uses a TensorFlow Text op; unit vectors out."""

    def __init__(self, inputs: tuple[str, ...], seed: int):
        super().__init__()
        self.table = tf.Variable(tf.random.stateless_normal([BUCKETS + 1, DIMENSION], [seed, 0]))
        self._tokenizer = tf_text.WhitespaceTokenizer()
        specs = {name: tf.TensorSpec([None], tf.string, name) for name in inputs}
        self.serve = tf.function(self._serve).get_concrete_function(**specs)

    def _serve(self, **inputs):
        total = 0.0
        for text in inputs.values():
            text = tf.ensure_shape(text, [None])
            words = self._tokenizer.tokenize(tf_text.case_fold_utf8(text))
            vectors = tf.gather(self.table, tf.strings.to_hash_bucket_fast(words.values, BUCKETS))
            total += tf.math.unsorted_segment_sum(vectors, words.value_rowids(), tf.shape(text)[0])
        return {"embedding": tf.math.l2_normalize(total + 1e-3 * self.table[BUCKETS], -1)}

    def save(self, folder: Path) -> None:
        tf.saved_model.save(self, str(folder), signatures={"serving_default": self.serve})


class Calculator(tf.Module):
    """Signatures of many types: several inputs and outputs, batch sizes that disagree, bytes, integers."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x"), tf.TensorSpec([None], tf.int64, "n")])
    def add(self, x, n):
        return {"sum": x + tf.cast(n, tf.float32)[:, None], "double": 2 * n}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def echo(self, text):
        return {"text": text, "text_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, "flag")])
    def count(self, flag):
        return {"all": flag, "total": tf.reduce_sum(tf.cast(flag, tf.int32))[None]}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float64, "x")])
    def scalar(self, x):
        return {"half": x / 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def total(self, x):
        return {"total": tf.reduce_sum(x)}

    def save(self, folder: Path) -> None:
        named = {"echo": self.echo, "count": self.count, "scalar": self.scalar, "total": self.total}
        tf.saved_model.save(self, str(folder), signatures={"serving_default": self.add, **named})


def embed(tower: TinyTower, **texts: list[str]) -> np.ndarray:
    """Vectors of the tower in this process, float32 [n, DIMENSION]."""
    return tower.serve(**{name: tf.constant(values, tf.string) for name, values in texts.items()})["embedding"].numpy()


def write_bundle(root: Path, seed: int, *, kind: str = "numpy", titles: Sequence[str] = TITLES) -> Bundle:
    """Publishes a bundle of the tiny towers over `titles` below `root`; another seed is another space."""
    space_id = hashlib.sha256(str(seed).encode()).hexdigest()[:12]
    folder = root / space_id
    query, product = TinyTower(("query",), seed), TinyTower(("title", "brand"), seed)
    query.save(folder / "query_tower" / "1")
    product.save(folder / "product_tower" / "1")
    write_warmup_requests(folder / "query_tower" / "1", [embed_request([""]), embed_request(["oak", "desk"])])
    vectors = embed(product, title=list(titles), brand=[""] * len(titles))
    id_map = pa.table({"product_id": [f"p{row}" for row in range(len(titles))], "title": list(titles)})
    report = build_index(
        vectors, folder / "index", 0.9, {"product": vectors}, space_id=space_id, id_map=id_map, kind=kind
    )
    _write_embeddings(folder / "embeddings", id_map, vectors, space_id)
    manifest = Manifest(
        space_id=space_id,
        dimension=DIMENSION,
        tokenizer_fingerprint="words",
        hash_fingerprint=f"seed {seed}",
        versions={},
        text_fields=("title", "brand"),
        image_column=None,
        query_tower=True,
        canaries=Canaries(queries=CANARIES, vectors=embed(query, query=CANARIES).tolist()),
        product_canaries=ProductCanaries(inputs={}, vectors=[]),
        products=len(titles),
        index=IndexSummary.of(report, tuned_on="its own vectors"),
    )
    bundle = Bundle(folder, manifest).update()
    point_current(root, folder.name)
    return bundle


def _write_embeddings(folder: Path, id_map: pa.Table, vectors: np.ndarray, space_id: str) -> None:
    schema = embeddings_schema(id_map.schema.field("product_id").type, DIMENSION).with_metadata({"space_id": space_id})
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION)
    columns = [id_map["product_id"], id_map["title"], embedding, pa.repeat(space_id, len(id_map))]
    folder.mkdir()
    pq.write_table(pa.table(columns, schema=schema), folder / "part-00000.parquet")


def predict_request(
    model: str, signature: str = "", version: int | None = None, output_filter: tuple[str, ...] = (), **inputs
) -> predict_pb2.PredictRequest:
    """A stock Predict request; inputs are TensorProtos, or anything `tf.make_tensor_proto` takes."""
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(proto)
    return request
