"""`/search` of the retrieval service, against the model call that it contains.

    python -m benchmarks.retrieval [--smoke]

A catalog of 54,667 products with synthetic vectors, the n-gram query tower of the demo with random weights: the
smaller the model, the harder the comparison. Model server and service are processes of their own, on loopback; every
query is new to the cache. Each Predict call is followed by a search for another query. The last line's ratio is Predict
over /search (medians); a search must take less than three times as long, a ratio above 1/3.
"""

import http.client
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from benchmarks.published import publish_bundle
from benchmarks.worker import Worker
from tfsage.serving.client import QueryClient, embed_request

PRODUCTS = 54_667
LIMIT = 3.0


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    rounds: Annotated[int, typer.Option(help="Calls of each side.")] = 1500,
) -> None:
    """Prints milliseconds and, as the last line, one JSON object."""
    products, rounds = (500, 20) if smoke else (PRODUCTS, rounds)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "bundles"
        bundle, queries = publish_bundle(root, Path(scratch), products)
        worker = [sys.executable, "-m", "benchmarks.retrieval_worker"]
        with Worker([*worker, "model", str(bundle.folder)]) as model:
            address = model.ask("address")["address"]
            with Worker([*worker, "service", str(root), "--address", address]) as service:
                seconds = _measure(address, service.ask("address")["address"], queries, rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        p99 = statistics.quantiles(seconds[name], n=100)[-1]
        print(f"{name:>16} {median * 1e3:7.2f} ms, 99th percentile {p99 * 1e3:7.2f} ms")
    times = medians["search"] / medians["Predict"]
    print(f"a search takes {times:.2f} times as long as its model call, {LIMIT:g} are allowed")
    if not smoke and times >= LIMIT:
        raise SystemExit("too slow")
    result = {
        "name": "retrieval",
        "against": "Predict over gRPC",
        "ratio": round(1 / times, 3),
        "rounds": rounds,
        "products": products,
        "from_cache": round(medians["Predict"] / medians["search, cached"], 3),
    }
    print(json.dumps(result))


def _measure(address: str, url: str, queries: list[str], rounds: int) -> dict[str, list[float]]:
    # New to the cache, and as long as real ones: pairs of queries.
    texts = (" ".join(pair) for pair in itertools.permutations(queries, 2))
    connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def search(text: str, cache: str) -> float:
        body = json.dumps({"query": text})
        started = time.perf_counter()
        connection.request("POST", "/search", body, {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        took = time.perf_counter() - started
        if answer["cache"] != cache:
            raise SystemExit(f"expected a cache {cache}, got {answer}")
        return took

    seconds = {"Predict": [], "search": [], "search, cached": []}
    with QueryClient(address) as client:
        for number in range(rounds + 10):
            request, text = embed_request([next(texts)]), next(texts)
            started = time.perf_counter()
            client._stub.Predict(request)
            took = {"Predict": time.perf_counter() - started}
            took |= {"search": search(text, "miss"), "search, cached": search(text, "hit")}
            # The first calls pay for lazy graph optimisation and warm caches.
            if number >= 10:
                for name, value in took.items():
                    seconds[name].append(value)
    connection.close()
    return seconds


if __name__ == "__main__":
    typer.run(main)
