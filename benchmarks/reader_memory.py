"""Peak memory of a process that reads training batches from a catalog of a given size, and nothing else.

python -m benchmarks.reader_memory FOLDER store|records
"""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.config import Config
from tfsage.data.prepared import FORMAT
from tfsage.data.stores import RaggedWriter, StringWriter

TOKENS, IMAGES, DIMENSION = 40, 2, 16
"""Tokens, images and their dimension of every product: small, since what may grow is what is kept per product."""

_CHUNK = 50_000
_STEPS = 150


def config(reader: str) -> Config:
    """One task over a small tower."""
    images = {"dimension": DIMENSION, "slots": IMAGES}
    return Config.model_validate(
        {
            "towers": {
                "product": {"kind": "itemsage", "text_fields": ["title"], "images": images},
                "text": {"kind": "ngram"},
            },
            "tasks": [{"name": "search", "surface": "search", "actions": {"click": 1}, "query_tower": "text"}],
            "training": {"batch_size": 512, "product_features": reader, "phases": [{"steps": _STEPS}]},
        }
    )


def write_catalog(folder: Path, products: int) -> None:
    """A prepared folder of random products, each engaged with by two queries, chunk by chunk."""
    stores, rng = folder / "stores" / "product", np.random.default_rng(0)
    (stores / "vectors").mkdir(parents=True)
    (folder / "stores" / "query").mkdir()
    with (
        RaggedWriter(stores / "tokens", np.int32) as tokens,
        RaggedWriter(stores / "vectors" / "image_embeddings", np.float32, (DIMENSION,)) as images,
        StringWriter(folder / "stores" / "query" / "texts") as texts,
        StringWriter(folder / "stores" / "query" / "ids") as ids,
        pq.ParquetWriter(folder / "pairs_train.parquet", _pairs(np.zeros(0, np.int64), 1).schema) as pairs,
    ):
        for start in range(0, products, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, products))
            tokens.append(rng.integers(1 << 20, size=len(rows) * TOKENS), np.full(len(rows), TOKENS))
            vectors = rng.normal(size=(len(rows) * IMAGES, DIMENSION))
            images.append(vectors.astype(np.float32), np.full(len(rows), IMAGES))
            names = [f"query {row}" for row in rows]
            texts.append(names)
            ids.append(names)
            pairs.write_table(_pairs(rows, products))
    for split in ("dev", "test"):
        pq.write_table(_pairs(np.zeros(0, np.int64), 1), folder / f"pairs_{split}.parquet")
    manifest = {
        "format": FORMAT,
        "entities": {
            "product": {
                "count": products,
                "id_type": "string",
                "text_fields": ["title"],
                "embedding_columns": {"image_embeddings": DIMENSION},
            }
        },
        "queries": {"query": {"count": products, "texts": "texts", "dimension": None}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def peak_memory(folder: Path, reader: str) -> float:
    """Megabytes of anonymous memory at the peak of a process that reads; one before it has made what is made once."""
    words = [sys.executable, "-m", "benchmarks.reader_memory", str(folder), reader]
    subprocess.run([*words, "1"], check=True, capture_output=True)
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def _pairs(rows: np.ndarray, products: int) -> pa.Table:
    query, entity = np.concatenate([rows, rows]), np.concatenate([rows, (rows * 7 + 1) % products])
    words = {"surface": "search", "query_type": "query", "entity_type": "product", "action": "click"}
    columns = {name: pa.array([word] * len(query), pa.string()) for name, word in words.items()}
    return pa.table({**columns, "query": query, "entity": entity, "count": np.ones(len(query))})


def _read(folder: str, reader: str, steps: int) -> None:
    from tfsage.data.batches import TrainingBatches
    from tfsage.data.prepared import PreparedData

    peak, done = [0], threading.Event()
    watch = threading.Thread(target=_watch, args=(peak, done))
    watch.start()
    for _ in TrainingBatches(PreparedData(folder), config(reader)).dataset().take(steps):
        pass
    done.set()
    watch.join()
    print(peak[0] / 1e6)


def _watch(peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.005):
        peak[0] = max(peak[0], _anonymous())


def _anonymous() -> int:
    """Bytes of this process that no file holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status does not tell anonymous memory")


if __name__ == "__main__":
    _read(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else _STEPS)
