"""Engaged queries of 10 million engagement rows, against the same job written in pandas: time, peak memory, equal rows.

Each side is a process of its own, Parquet in and Parquet out: the 20 queries that count most for every product. With
`--margin` the benchmark measures instead how far merged months agree with a full recount, for different numbers of
kept queries.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.timing import interleave

WEIGHTS = {"click": 1.0, "save": 2.0, "long_click": 2.0, "add_to_cart": 4.0, "checkout": 8.0}
LIMIT = 20
MEMORY = "1GB"
_FIRST = np.datetime64("2024-01-01", "us")
_CHUNK = 1_000_000
_MARGIN_QUERIES, _MARGIN_MONTHS = 6000, 24


def write_log(folder: Path, rows: int, seed: int = 1) -> None:
    """Engagements of rows / 20 products with rows / 20 queries, both by Zipf's law, and the queries."""
    rng = np.random.default_rng(seed)
    count = max(rows // 20, 10)
    schema = pa.schema(
        [(name, pa.string()) for name in ("surface", "query_type", "query_id", "entity_type", "entity_id", "action")]
        + [("count", pa.int64()), ("timestamp", pa.timestamp("us"))]
    )
    with pq.ParquetWriter(folder / "engagements.parquet", schema) as writer:
        for start in range(0, rows, _CHUNK):
            size = min(_CHUNK, rows - start)
            product = (count * rng.random(size) ** 3).astype(np.int64)
            query = (product * 7 + (200 * rng.random(size) ** 2).astype(np.int64)) % count
            columns = [
                pa.repeat("search", size),
                pa.repeat("query", size),
                _named("q", query),
                pa.repeat("product", size),
                _named("p", product),
                pa.array(list(WEIGHTS)).take(pa.array(rng.integers(len(WEIGHTS), size=size))),
                pa.array(rng.integers(1, 4, size)),
                pa.array(_FIRST + rng.integers(730, size=size).astype("timedelta64[D]")),
            ]
            writer.write_table(pa.table(columns, schema=schema))
    numbers = np.arange(count)
    queries = pa.table({"query_id": _named("q", numbers), "text": _named("some words that query ", numbers)})
    pq.write_table(queries, folder / "queries.parquet")


def _named(letters: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(letters, pa.array(numbers).cast(pa.string()), "")


def ours(folder: Path) -> None:
    """The expressions of `tfsage enrich queries`, on DuckDB."""
    from tfsage.data.engine import connect
    from tfsage.data.enrichment.engaged_queries import query_scores, top_queries

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        connection = connect(Path(scratch), MEMORY)
        tables = [connection.read_parquet(folder / f"{name}.parquet") for name in ("engagements", "queries")]
        connection.to_parquet(top_queries(query_scores(*tables, WEIGHTS), LIMIT), folder / "ours.parquet")


def theirs(folder: Path) -> None:
    """The same in pandas."""
    import pandas as pd

    names = ["query_type", "query_id", "entity_type", "entity_id", "action", "count"]
    log = pd.read_parquet(folder / "engagements.parquet", columns=names)
    log = log[
        (log.query_type == "query") & (log.entity_type != "query") & log.action.isin(WEIGHTS) & (log["count"] > 0)
    ]
    log = log.assign(score=log.action.map(WEIGHTS) * log["count"])
    scores = log.groupby(["entity_type", "entity_id", "query_id"], as_index=False, sort=False).score.sum()
    queries = pd.read_parquet(folder / "queries.parquet")
    queries = queries.assign(text=queries.text.str.strip())
    scores = scores.merge(queries[queries.text != ""], on="query_id")
    scores = scores.groupby(["entity_type", "entity_id", "text"], as_index=False, sort=False).score.sum()
    entity = ["entity_type", "entity_id"]
    best = scores.sort_values([*entity, "score", "text"], ascending=[True, True, False, True])
    best = best.assign(place=best.groupby(entity, sort=False).cumcount())
    best[best.place < LIMIT].to_parquet(folder / "theirs.parquet", index=False)


SIDES = {"ours": ours, "theirs": theirs}


def run(side: str, folder: Path) -> tuple[float, float]:
    """Seconds of the job alone, and the peak of its process in GiB."""
    words = [sys.executable, "-m", "benchmarks.enrichment", "--side", side, "--folder", str(folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def same_rows(folder: Path) -> bool:
    """Whether both sides wrote the same rows."""
    order = [("entity_type", "ascending"), ("entity_id", "ascending"), ("place", "ascending")]
    names = ["entity_type", "entity_id", "text", "score", "place"]
    tables = [pq.read_table(folder / f"{side}.parquet", columns=names).sort_by(order) for side in SIDES]
    text = [[str(value) for value in table.column("text").to_pylist()] for table in tables]
    rest = [table.drop(["text", "entity_type"]).cast(_SAME).to_pydict() for table in tables]
    return text[0] == text[1] and rest[0] == rest[1]


_SAME = pa.schema([("entity_id", pa.large_string()), ("score", pa.float64()), ("place", pa.int64())])


def agreement(exponent: float, events: int, kept: list[int], products: int = 10, seed: int = 0) -> dict[int, float]:
    """The share of the top 20 of two years that 24 merged months have, by how many queries a month keeps.

    Args:
        exponent: of Zipf's law, by which a product's 6,000 queries are asked.
        events: engagements of a product and month.
        kept: queries that a month keeps.
    """
    rng = np.random.default_rng(seed)
    shares = 1.0 / np.arange(1, _MARGIN_QUERIES + 1) ** exponent
    found = dict.fromkeys(kept, 0)
    for _ in range(products):
        # The alphabet, by which equal scores are ordered, knows nothing of frequencies.
        alphabet = rng.permutation(_MARGIN_QUERIES)
        clicks = rng.multinomial(events, shares / shares.sum(), _MARGIN_MONTHS)
        scores = clicks + rng.binomial(clicks, 0.4)
        full = set(np.lexsort([alphabet, -scores.sum(0)])[:LIMIT])
        for keep in kept:
            merged = np.zeros(_MARGIN_QUERIES)
            for month in scores:
                best = np.lexsort([alphabet, -month])[:keep]
                merged[best] += month[best]
            found[keep] += len(full & set(np.lexsort([alphabet, -merged])[:LIMIT]))
    return {keep: count / (products * LIMIT) for keep, count in found.items()}


def print_margin(smoke: bool) -> None:
    """Agreement as a table: one line for each exponent and number of events."""
    kept = [20, 100, 200, 500, 1000, 2000]
    print("exponent  events  " + "  ".join(f"kept {keep:5}" for keep in kept))
    for exponent in (0.4, 0.6, 0.8, 1.0):
        for events in (500, 5000) if smoke else (500, 5000, 50_000):
            agreed = agreement(exponent, events, kept, products=2 if smoke else 10)
            print(f"{exponent:8}  {events:6}  " + "  ".join(f"{agreed[keep]:10.3f}" for keep in kept))


def main(smoke: bool) -> None:
    rows, rounds = (50_000, 1) if smoke else (10_000_000, 3)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_log(folder, rows)
        measured: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        interleave({side: lambda side=side: measured[side].append(run(side, folder)) for side in SIDES}, rounds)
        assert same_rows(folder), "the sides disagree"
    # The first call of each side is not timed: it warms the file cache.
    seconds = {side: float(np.median([each[0] for each in runs[1:]])) for side, runs in measured.items()}
    peak = {side: max(each[1] for each in runs) for side, runs in measured.items()}
    for side, who in (("ours", "Ibis on DuckDB"), ("theirs", "pandas")):
        print(f"{who}: {seconds[side]:.2f} s, peak {peak[side]:.2f} GiB, {rows:,} rows")
    ratio = seconds["theirs"] / seconds["ours"]
    result = {"name": "enrichment", "against": "the same job in pandas", "ratio": round(ratio, 2), "rounds": rounds}
    print(json.dumps(result | {"rows": rows, "seconds": seconds, "peak_gib": peak}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a size that takes seconds")
    parser.add_argument("--margin", action="store_true", help="how many queries months have to keep")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        started = time.perf_counter()
        SIDES[arguments.side](arguments.folder)
        spent = time.perf_counter() - started
        print(json.dumps([spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
    elif arguments.margin:
        print_margin(arguments.smoke)
    else:
        main(arguments.smoke)
