"""A process that serves a query tower, and times calls of its session within itself.

    python -m benchmarks.serving_worker FOLDER [--batch N]

Every line of standard input is a JSON object: `{}` is answered by the gRPC address, `{"session": [texts]}` by the
seconds that `Session.run` took for each of the texts.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf
import typer

from benchmarks.worker import answer_requests
from export.saved_model import save_query_tower
from tfsage.config import DistilBertTowerConfig
from tfsage.data.synthetic import write_shop
from tfsage.serving.batching import Batcher
from tfsage.serving.batching_options import BatchingOptions
from tfsage.serving.client import INPUT, MODEL, OUTPUT
from tfsage.serving.registry import Registry
from tfsage.serving.server import ModelServer
from tfsage.text.wordpiece import learn_wordpiece
from tfsage.towers.distilbert import DistilBertTower

DISTILBERT = {"layers": 6, "heads": 12, "width": 768, "feed_forward": 3072}
SMALL = {"layers": 1, "heads": 2, "width": 32, "feed_forward": 64}


def main(
    folder: Path,
    batch: Annotated[int, typer.Option(help="Rows of the largest batch; 0 for no batching.")] = 0,
) -> None:
    """Answers until standard input ends."""
    batcher = None
    if batch:
        batcher = Batcher(BatchingOptions(max_batch_size=batch, max_enqueued_batches=64))
    registry = Registry(batcher=batcher)
    model = registry.load(MODEL, folder)
    session, signature = model.session, model.signatures["serving_default"]
    query, embedding = signature.inputs[INPUT], signature.outputs[OUTPUT]

    def seconds(text: str) -> float:
        fed = np.array([text.encode()], object)
        started = time.perf_counter()
        session.run([embedding], {query: fed})
        return time.perf_counter() - started

    with ModelServer(registry) as server:

        def answer(line: str) -> dict:
            request = json.loads(line)
            if "session" in request:
                return {"seconds": [seconds(text) for text in request["session"]]}
            return {"address": server.grpc_address}

        answer_requests(answer)


def write_tower(folder: Path, size: dict[str, int]) -> list[str]:
    """Saves an untrained DistilBERT tower as version 1 below `folder`, and gives the queries it knows the words of."""
    write_shop(folder / "shop", products=500, seed=1)
    texts = pq.read_table(folder / "shop" / "queries.parquet")["text"].to_pylist()
    vocabulary = learn_wordpiece(texts, 8000, folder / "wordpiece.txt")
    tower = DistilBertTower(DistilBertTowerConfig(kind="distilbert", **size), vocabulary)
    tower.embed({INPUT: tf.constant(texts[:1])})
    save_query_tower(tower, folder / "1")
    return texts


if __name__ == "__main__":
    typer.run(main)
