"""Queries through model server and client, against `encode` of sentence-transformers with the same model.

    python -m benchmarks.query_encoding [--queries FILE] [--smoke]

The model is a DistilBERT query tower in its published size (6 layers of 768), untrained, the output at [CLS] through
one linear map, normalised. Ours is exported and served by the embedded model server, a process of its own, and asked
by `QueryClient` over gRPC, without a cache. sentence-transformers has the same weights and the same vocabulary, and
runs in an environment of its own (.venv-sbert), made on demand, in one process, without a wire. Both get two threads;
queries are sent one at a time, and in batches of 32; the vectors have to be the same.

The last line's ratio is theirs over ours (medians) for one query at a time, `batches` the same for batches of 32.
"""

import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import typer

from benchmarks.environments import python_of
from benchmarks.query_training import DISTILBERT, ENVIRONMENT, REQUIREMENTS, SMALL, make_tower, write_start
from benchmarks.worker import Worker
from export.saved_model import save_query_tower
from tfsage.data.synthetic import write_shop
from tfsage.serving.client import QueryClient

BATCH, THREADS = 32, 2
TOLERANCE = 1e-4


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    queries: Annotated[
        Path | None, typer.Option(help="Query texts, one a line; those of a synthetic shop without it.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds; the sides take turns.")] = 7,
    calls: Annotated[int, typer.Option(help="Calls of each size in a round.")] = 20,
) -> None:
    """Prints milliseconds and, as the last line, one JSON object."""
    if smoke:
        rounds, calls = 2, 3
    python = python_of(ENVIRONMENT, REQUIREMENTS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        texts = query_texts(queries, folder, 200 if smoke else 2000)
        tower = make_tower(SMALL if smoke else DISTILBERT, [texts], folder / "vocabulary.txt")
        write_start(tower, SMALL if smoke else DISTILBERT, texts, np.empty(0), folder)
        save_query_tower(tower, folder / "query_tower" / "1")
        ours = [sys.executable, "-m", "benchmarks.serving_worker", str(folder / "query_tower")]
        theirs = [str(python), str(Path(__file__).with_name("query_encoding_sbert.py")), str(folder)]
        with (
            Worker([*ours, "--threads", str(THREADS)]) as server,
            Worker([*theirs, str(THREADS)]) as encoder,
            QueryClient(server.ask("{}")["address"]) as client,
        ):
            check_same(client, encoder, texts[:BATCH])
            seconds = {size: measure(client, encoder, texts, size, rounds, calls) for size in (1, BATCH)}
    ratios = {}
    for size, sides in seconds.items():
        medians = {side: statistics.median(values) for side, values in sides.items()}
        ratios[size] = medians["sentence-transformers"] / medians["tfsage"]
        for side, median in medians.items():
            print(f"{side:>22} {median * 1e3:8.2f} ms for {size} {'query' if size == 1 else 'queries'}")
    result = {"name": "query_encoding", "against": f"sentence-transformers ({REQUIREMENTS[1]})"}
    print(json.dumps({**result, "ratio": round(ratios[1], 2), "batches": round(ratios[BATCH], 2), "rounds": rounds}))


def query_texts(file: Path | None, scratch: Path, products: int) -> list[str]:
    """Distinct queries in a random order, in ASCII: the two tokenizers have different views of accents."""
    if file is None:
        write_shop(scratch / "shop", products=products, seed=1, engagements=1)
        texts = pq.read_table(scratch / "shop" / "queries.parquet", columns=["text"])["text"].to_pylist()
    else:
        texts = file.read_text("utf-8").splitlines()
    texts = sorted({text for text in texts if text.isascii() and text.strip()})
    return [texts[place] for place in np.random.default_rng(1).permutation(len(texts))]


def check_same(client: QueryClient, encoder: Worker, texts: list[str]) -> None:
    """Ends the benchmark if the two sides do not compute the same vectors."""
    theirs = np.array(encoder.ask(json.dumps({"texts": texts}))["vectors"], np.float32)
    apart = float(np.abs(client.embed(texts) - theirs).max())
    if not apart < TOLERANCE:
        raise SystemExit(f"the vectors differ by {apart:.2g}: the two do not compute the same function")
    print(f"the vectors of both sides differ by {apart:.1g} at most")


def measure(
    client: QueryClient, encoder: Worker, texts: list[str], size: int, rounds: int, calls: int
) -> dict[str, list[float]]:
    """Seconds of every call with `size` queries, by side; the sides take turns with every round of calls."""
    turn = itertools.cycle([texts[at : at + size] for at in range(0, len(texts) - size + 1, size)])
    seconds = {"sentence-transformers": [], "tfsage": []}
    for number in range(rounds + 1):
        batches = list(itertools.islice(turn, calls))
        theirs, ours = encoder.ask(json.dumps({"batches": batches}))["seconds"], []
        for batch in batches:
            started = time.perf_counter()
            client.embed(batch)
            ours.append(time.perf_counter() - started)
        # The first round pays for tracing and warm caches.
        if number:
            seconds["sentence-transformers"] += theirs
            seconds["tfsage"] += ours
    return seconds


if __name__ == "__main__":
    typer.run(main)
