"""How many queries reach the model behind the cache, against all that are asked.

    python -m benchmarks.query_cache [--smoke]

200,000 requests over 50,000 queries whose frequency follows Zipf's law with exponent 1, through the query client with
a cache of 5,000 vectors in this process; what would be sent to the model is counted instead of sent. At most 30 % may
be. Then 2,000 of the requests are sent for real, to a model server with the demo's n-gram tower, with the cache and
without, in turn. The last line's ratio is offered over reached; `faster` compares the time of the real ones.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.published import publish_bundle
from benchmarks.worker import Worker
from tfsage.bundle import Manifest
from tfsage.serving.cache import MemoryCache
from tfsage.serving.client import QueryClient

REQUESTS, QUERIES, SHARE = 200_000, 50_000, 0.1
LIMIT = 0.3
_REAL = 2000


class CountingClient(QueryClient):
    """A client whose model is a counter. texts: how many reached it, canaries left out."""

    texts = 0

    def __init__(self, manifest: Manifest, cache: MemoryCache):
        super().__init__("127.0.0.1:1", manifest=manifest, cache=cache)
        self._canary = np.array(manifest.canaries.vectors[-1:], np.float32)

    def predict(self, texts):
        self.texts += sum(text.startswith("query ") for text in texts)
        return np.repeat(self._canary, len(texts), axis=0)


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds of the real requests; the median is taken.")] = 5,
) -> None:
    """Prints shares, milliseconds and, as the last line, one JSON object."""
    requests, queries, rounds = (4000, 1000, 2) if smoke else (REQUESTS, QUERIES, rounds)
    real = 50 if smoke else _REAL
    asked = zipf(requests, queries)
    with tempfile.TemporaryDirectory() as scratch:
        bundle, _ = publish_bundle(Path(scratch) / "bundles", Path(scratch), 500)
        capacity = int(SHARE * queries)
        with CountingClient(bundle.manifest, MemoryCache(capacity)) as client:
            for query in asked:
                client.embed([f"query {query}"])
            reached, hit_rate = client.texts / requests, client.metrics.hit_rate
        print(f"{reached:.1%} of {requests} requests reached the model (hit rate {hit_rate:.1%}), {LIMIT:.0%} may")
        command = [sys.executable, "-m", "benchmarks.retrieval_worker", "model", str(bundle.folder)]
        with Worker(command) as model:
            seconds = _send(model.ask("address")["address"], bundle.manifest, asked, real, capacity, rounds)
    for name, value in seconds.items():
        print(f"{name:>10} {value / real * 1e3:7.3f} ms a request")
    if not smoke and reached > LIMIT:
        raise SystemExit("too many")
    result = {
        "name": "query_cache",
        "against": "every request reaches the model",
        "ratio": round(1 / reached, 2),
        "rounds": rounds,
        "reached": round(reached, 4),
        "faster": round(seconds["no cache"] / seconds["cache"], 2),
    }
    print(json.dumps(result))


def zipf(requests: int, queries: int, seed: int = 1) -> np.ndarray:
    """Ranks of the queries asked for, int64 [requests]: rank r with a probability in proportion to 1 / r."""
    weights = 1 / np.arange(1, queries + 1)
    return np.random.default_rng(seed).choice(queries, requests, p=weights / weights.sum())


def _send(address: str, manifest: Manifest, asked, count: int, capacity: int, rounds: int) -> dict[str, float]:
    """Median seconds of `count` requests in the steady state, with a cache that has seen the requests before."""
    cache = MemoryCache(capacity)
    seconds = {"cache": [], "no cache": []}
    before, turns = asked[: -count * rounds], asked[-count * rounds :].reshape(rounds, count)
    with CountingClient(manifest, cache) as filler:
        for query in before:
            filler.embed([f"query {query}"])
        filler._guard.take_unverified()
    with QueryClient(address, manifest=manifest, cache=cache) as cached, QueryClient(address) as plain:
        for client in (cached, plain):
            # Connects, and pays for lazy graph optimisation.
            client.embed(["warm up"])
        for turn in turns:
            for name, client in (("cache", cached), ("no cache", plain)):
                started = time.perf_counter()
                for query in turn:
                    client.embed([f"query {query}"])
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    typer.run(main)
