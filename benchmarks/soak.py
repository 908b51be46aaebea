"""Half an hour's worth of requests while bundles are swapped and model servers restart.

    python -m benchmarks.soak [--smoke]

Ten requests a second for 30 minutes are 18,000: searches (two thirds of them repeats), similar products and Home, sent
by four clients as fast as they are answered, over loopback, until there are as many and both bundles had their turn.
Meanwhile two bundles of different spaces take turns as the published one, and their model servers are stopped and
started again, in turn. No request may fail, but for those that ran while a model server was away; and from a fifth of
the way on the service's memory may grow by 5 % at most. The last line's ratio is the share of requests outside restarts
that were answered.
"""

import http.client
import json
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import typer

from benchmarks.published import publish_bundle
from benchmarks.worker import Worker
from tfsage.bundle import point_current

REQUESTS, CLIENTS, GROWTH = 18_000, 4, 0.05
_SWAP_SECONDS = 60.0
_WORKER = [sys.executable, "-m", "benchmarks.retrieval_worker"]


class Sent(NamedTuple):
    """One request: when it ran (seconds of the monotonic clock), and its HTTP status."""

    start: float
    end: float
    status: int


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    requests: Annotated[int, typer.Option(help="Requests at least.")] = REQUESTS,
    turn: Annotated[float, typer.Option(help="Seconds between a swap, a restart, and the next swap.")] = 8.0,
) -> None:
    """Prints what happened and, as the last line, one JSON object."""
    requests, products, turn, turns = (200, 300, 0.5, 1) if smoke else (requests, 20_000, turn, 4)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "bundles"
        bundles = [publish_bundle(root, Path(scratch), products, seed) for seed in (1, 2)]
        names, queries = [bundle.folder.name for bundle, _ in bundles], bundles[0][1]
        commands = [[*_WORKER, "model", str(root / name)] for name in names]
        models = [Worker(command) for command in commands]
        try:
            listening = [model.ask("address")["address"] for model in models]
            # A server that is started again has to be found where it was.
            for command, address in zip(commands, listening, strict=True):
                command += ["--port", address.rpartition(":")[2]]
            addresses = [word for address in listening for word in ("--address", address)]
            with Worker([*_WORKER, "service", str(root), *addresses, "--cache-size", "1000"]) as service:
                url = service.ask("address")["address"]
                away, memory, stop = [], [], threading.Event()
                with ThreadPoolExecutor(CLIENTS) as pool:
                    sent = [[] for _ in range(CLIENTS)]
                    clients = [pool.submit(_shop, url, queries, n, sent[n], stop) for n in range(CLIENTS)]
                    number = 0
                    while sum(map(len, sent)) < requests or number < turns:
                        memory.append(service.ask("memory")["megabytes"])
                        point_current(root, names[number % 2])
                        _wait_for_swap(service, number + 1)
                        time.sleep(turn)
                        # In turn the server of the bundle that answers, and that of the other.
                        away.append(_restart(models, commands, (number // 2) % 2))
                        time.sleep(turn)
                        number += 1
                    stop.set()
                    for client in clients:
                        client.result()
                memory.append(service.ask("memory")["megabytes"])
                swaps = service.ask("swaps")["swaps"]
        finally:
            for model in models:
                model.__exit__()
    _report([each for own in sent for each in own], away, memory, swaps, smoke)


def _report(sent: list[Sent], away: list[tuple[float, float]], memory: list[float], swaps: int, smoke: bool) -> None:
    outside = [each for each in sent if not any(each.end > start and each.start < end for start, end in away)]
    failed = [each.status for each in outside if each.status != 200]
    inside = sum(each.status != 200 for each in sent) - len(failed)
    settled = memory[len(memory) // 5]
    growth = memory[-1] / settled - 1
    print(f"{len(sent)} requests, {swaps} swaps, {len(away)} restarts; {inside} failed while a server was away")
    print(f"{len(failed)} of {len(outside)} failed otherwise; memory {settled:.0f} MB, then {memory[-1]:.0f} MB")
    if failed or swaps < 1 or (not smoke and growth > GROWTH):
        raise SystemExit(f"failed: statuses {sorted(set(failed))}, {swaps} swaps, memory {growth:+.1%}")
    result = {
        "name": "soak",
        "against": "requests outside restarts",
        "ratio": 1 - len(failed) / len(outside),
        "rounds": len(sent),
        "swaps": swaps,
        "restarts": len(away),
        "memory_growth": round(growth, 4),
    }
    print(json.dumps(result))


def _shop(url: str, queries: list[str], seed: int, sent: list[Sent], stop: threading.Event) -> None:
    rng = np.random.default_rng(seed)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    while not stop.is_set():
        path, body = _request(rng, queries, f"{seed} {len(sent)}")
        started = time.monotonic()
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        sent.append(Sent(started, time.monotonic(), response.status))
    connection.close()


def _request(rng, queries: list[str], unique: str) -> tuple[str, dict]:
    kind = rng.choice(["/search", "/similar", "/home"], p=[0.8, 0.15, 0.05])
    products = [f"product-{row}" for row in rng.integers(0, 300, 8)]
    if kind == "/similar":
        return kind, {"product_id": products[0]}
    if kind == "/home":
        return kind, {"activity": [{"product_id": product, "timestamp": 1e9} for product in products]}
    text = queries[rng.integers(0, min(len(queries), 200))]
    return kind, {"query": text if rng.random() < 2 / 3 else f"{text} {unique}"}


def _wait_for_swap(service: Worker, wanted: int) -> None:
    deadline = time.monotonic() + _SWAP_SECONDS
    while service.ask("swaps")["swaps"] < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"swap {wanted} did not happen within {_SWAP_SECONDS:g} s")
        time.sleep(0.1)


def _restart(models: list[Worker], commands: list[list[str]], number: int) -> tuple[float, float]:
    """Stops a model server and starts it again; when it was away, until a second after it answers."""
    start = time.monotonic()
    models[number].__exit__()
    models[number] = Worker(commands[number])
    models[number].ask("address")
    return start, time.monotonic() + 1.0


if __name__ == "__main__":
    typer.run(main)
