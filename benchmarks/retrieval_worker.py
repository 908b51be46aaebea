"""A process that is a model server or a retrieval service, for benchmarks that ask both.

    python -m benchmarks.retrieval_worker model BUNDLE [--port N]
    python -m benchmarks.retrieval_worker service ROOT --address HOST:PORT [--address HOST:PORT]

Every line `address` on standard input is answered by where it listens, `memory` by its resident megabytes, and
`swaps` by how often the service changed its bundle.
"""

import gc
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.worker import answer_requests
from tfsage.bundle import Bundle
from tfsage.retrieval.loaded import Settings
from tfsage.retrieval.server import RetrievalServer
from tfsage.retrieval.service import RetrievalService
from tfsage.serving.client import MODEL
from tfsage.serving.registry import load_registry
from tfsage.serving.server import ModelServer

app = typer.Typer()


@app.command()
def model(bundle: Path, port: int = 0) -> None:
    """Serves the query tower of a bundle over gRPC."""
    registry = load_registry({MODEL: Bundle.open(bundle).query_tower.parent})
    with ModelServer(registry, grpc_port=port) as server:
        answers = {"address": lambda: {"address": server.grpc_address}, "memory": _memory}
        answer_requests(lambda request: answers[request]())


@app.command()
def service(root: Path, address: Annotated[list[str], typer.Option()], cache_size: int = 100_000) -> None:
    """Answers over HTTP."""
    with ExitStack() as stack:
        retrieval = stack.enter_context(RetrievalService(root, Settings(tuple(address), cache_size=cache_size)))
        server = stack.enter_context(RetrievalServer(retrieval))
        answers = {"address": lambda: {"address": server.url}, "memory": _memory}
        answers["swaps"] = lambda: {"swaps": retrieval.follower.swaps}
        answer_requests(lambda request: answers[request]())


def _memory() -> dict:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"megabytes": pages * os.sysconf("SC_PAGE_SIZE") / 1e6}


if __name__ == "__main__":
    app()
