"""A query through the embedded model server over gRPC, against the same SavedModel session called in process.

    python -m benchmarks.serving_latency [--smoke]

The tower is DistilBERT in its published size (6 layers of 768), untrained, with a vocabulary learned from a synthetic
shop's queries. The server is a process of its own, which also times its session's calls, without a wire. Both sides are
asked one query at a time, in turn, so that each call begins on a machine that has just been idle. Then 32 clients ask
at once, one query a request, a server with batching and one without.

The last line's ratio is session over gRPC (median); `p99` is the same of the 99th percentile, and `batching` the
throughput with batching over that without.
"""

import itertools
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import grpc
import pyarrow.parquet as pq
import tensorflow as tf
import typer
from tensorflow_serving.apis import prediction_service_pb2_grpc

from benchmarks.worker import Worker
from export.saved_model import save_query_tower
from tfsage.config import DistilBertTowerConfig
from tfsage.data.synthetic import write_shop
from tfsage.serving.client import INPUT, embed_request
from tfsage.text.wordpiece import learn_wordpiece
from tfsage.towers.distilbert import DistilBertTower

CLIENTS = 32
DISTILBERT = {"layers": 6, "heads": 12, "width": 768, "feed_forward": 3072}
SMALL = {"layers": 1, "heads": 2, "width": 32, "feed_forward": 64}


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds of each measurement.")] = 7,
    calls: Annotated[int, typer.Option(help="Calls of each side in a round.")] = 60,
    batch: Annotated[int, typer.Option(help="Rows of the largest batch.")] = 16,
) -> None:
    """Prints milliseconds and queries per second and, as the last line, one JSON object."""
    if smoke:
        rounds, calls = 2, 5
    with tempfile.TemporaryDirectory() as scratch:
        queries = _write_tower(Path(scratch), *((SMALL, 200) if smoke else (DISTILBERT, 500)))
        command = [sys.executable, "-m", "benchmarks.serving_worker", scratch]
        with Worker(command) as plain, Worker([*command, "--batch", str(batch)]) as batched:
            seconds = _latency(plain, queries, rounds, calls)
            rates = _throughput({"alone": plain, "batched": batched}, queries, rounds)
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    p99 = {side: statistics.quantiles(values, n=100)[-1] for side, values in seconds.items()}
    for side, median in medians.items():
        print(f"{side:>8} {median * 1e3:7.2f} ms, 99th percentile {p99[side] * 1e3:7.2f} ms")
    for side, rate in rates.items():
        print(f"{side:>8} {rate:7.0f} queries/s from {CLIENTS} clients")
    result = {
        "name": "serving_latency",
        "against": "session in process",
        "ratio": round(medians["session"] / medians["gRPC"], 3),
        "rounds": rounds,
        "p99": round(p99["session"] / p99["gRPC"], 3),
        "batching": round(rates["batched"] / rates["alone"], 2),
        "milliseconds_on_the_wire": round((medians["gRPC"] - medians["session"]) * 1e3, 3),
    }
    print(json.dumps(result))


def _write_tower(folder: Path, size: dict[str, int], products: int) -> list[str]:
    """Saves an untrained DistilBERT tower as version 1 below `folder`, and gives the queries it knows the words of."""
    write_shop(folder / "shop", products=products, seed=1)
    texts = pq.read_table(folder / "shop" / "queries.parquet")["text"].to_pylist()
    vocabulary = learn_wordpiece(texts, 8000, folder / "wordpiece.txt")
    tower = DistilBertTower(DistilBertTowerConfig(kind="distilbert", **size), vocabulary)
    tower.embed({INPUT: tf.constant(texts[:1])})
    save_query_tower(tower, folder / "1")
    return texts


def _latency(server: Worker, queries: list[str], rounds: int, calls: int) -> dict[str, list[float]]:
    """Seconds of every call, by side; the sides take turns with every query."""
    seconds = {"session": [], "gRPC": []}
    with grpc.insecure_channel(_address(server)) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        asked = list(itertools.islice(itertools.cycle(queries), (rounds + 1) * calls))
        for text in asked:
            request = embed_request([text])
            seconds["session"].append(server.ask(json.dumps({"session": text}))["seconds"])
            started = time.perf_counter()
            stub.Predict(request)
            seconds["gRPC"].append(time.perf_counter() - started)
    # The first round pays for tracing and warm caches.
    return {side: values[calls:] for side, values in seconds.items()}


def _throughput(servers: dict[str, Worker], queries: list[str], rounds: int) -> dict[str, float]:
    """Queries a second from many clients at once, the median of the rounds, by server."""
    rates = {name: [] for name in servers}
    requests = [embed_request([text]) for text in itertools.islice(itertools.cycle(queries), 4 * CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        channels = {name: grpc.insecure_channel(_address(worker)) for name, worker in servers.items()}
        stubs = {name: prediction_service_pb2_grpc.PredictionServiceStub(channel) for name, channel in channels.items()}
        for number in range(rounds + 1):
            for name, stub in stubs.items():
                started = time.perf_counter()
                for _ in clients.map(stub.Predict, requests):
                    pass
                if number:
                    rates[name].append(len(requests) / (time.perf_counter() - started))
    for channel in channels.values():
        channel.close()
    return {name: statistics.median(values) for name, values in rates.items()}


def _address(server: Worker) -> str:
    return server.ask(json.dumps({}))["address"]


if __name__ == "__main__":
    typer.run(main)
