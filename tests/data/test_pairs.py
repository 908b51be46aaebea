"""Deduplication, parts and caps against plain Python, on small random tables."""

import datetime as dt
from collections import Counter, defaultdict

import ibis
import numpy as np
import pyarrow.parquet as pq
import pytest

from tfsage.config import PrepareConfig
from tfsage.data.pairs import PAIR, PairBuilder
from tfsage.data.split import Split

ENTITIES = 5
PARTS = ("train", "dev", "test")
LETTERS = {"query": "q", "pin": "p", "product": "pr"}


def random_rows(seed: int, count: int = 400) -> list[dict]:
    rng = np.random.default_rng(seed)

    def pick(*values):
        return values[rng.integers(len(values))]

    return [
        {
            "surface": pick("search", "closeup"),
            "query_type": (query_type := pick("query", "pin")),
            "query_id": f"{query_type[0]}{rng.integers(ENTITIES)}",
            "entity_type": (entity_type := pick("product", "pin", "query")),
            "entity_id": f"{LETTERS[entity_type]}{rng.integers(ENTITIES)}",
            "action": pick("click", "checkout"),
            "count": int(rng.integers(1, 5)),
            "split": pick("train", "train", "dev", "test"),
        }
        for _ in range(count)
    ]


def entities() -> ibis.Table:
    rows = [
        (kind, f"{letter}{row}", row, f"{letter}{row}") for kind, letter in LETTERS.items() for row in range(ENTITIES)
    ]
    return ibis.memtable(rows, columns=["type", "id", "row", "key"])


def build(rows: list[dict], folder, **prepare) -> tuple[dict[str, list[dict]], dict]:
    (folder / "scratch").mkdir(parents=True)
    report: dict = {}
    builder = PairBuilder(ibis.duckdb.connect(), folder / "scratch", report)
    builder.build(ibis.memtable(rows), entities(), Split("given", {}), PrepareConfig(**prepare), folder)
    tables = {part: pq.read_table(folder / f"pairs_{part}.parquet") for part in PARTS}
    for table in tables.values():
        assert [table.schema.field(name).type for name in ("query", "entity", "count")] == ["int64", "int64", "double"]
    return {part: table.to_pylist() for part, table in tables.items()}, report


def with_itself(row: dict) -> bool:
    return row["query_type"] == row["entity_type"] and row["query_id"] == row["entity_id"]


def plain(row: dict) -> tuple:
    query, entity = int(row["query_id"][-1]), int(row["entity_id"][-1])
    return row["surface"], row["query_type"], query, row["entity_type"], entity, row["action"]


def key(pair: dict) -> tuple:
    return tuple(pair[name] for name in PAIR)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_those_of_plain_python(tmp_path, seed):
    rows = random_rows(seed)
    counts: dict = defaultdict(Counter)
    earliest: dict = {}
    for row in rows:
        if with_itself(row):
            continue
        counts[row["split"]][plain(row)] += row["count"]
        pair, place = plain(row)[1:5], PARTS.index(row["split"])
        earliest[pair] = min(place, earliest.get(pair, place))
    built, report = build(rows, tmp_path)
    for place, part in enumerate(PARTS):
        expected = {row: count for row, count in counts[part].items() if earliest[row[1:5]] == place}
        assert {key(pair): pair["count"] for pair in built[part]} == expected
        assert [key(pair) for pair in built[part]] == sorted(expected)
    assert report["engagements"] == len(rows)
    assert report["dropped_with_itself"] == sum(map(with_itself, rows)) > 0
    assert report["pairs_after_deduplication"] == sum(map(len, counts.values()))
    kept = sum(map(len, built.values()))
    assert report["dropped_seen_in_an_earlier_part"] == report["pairs_after_deduplication"] - kept


@pytest.mark.parametrize("seed", range(3))
def test_no_query_and_entity_are_in_two_parts(tmp_path, seed):
    built, _ = build(random_rows(seed), tmp_path)
    seen = [{key(pair)[1:5] for pair in built[part]} for part in PARTS]
    assert all(seen) and not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def test_caps_hold_in_training_for_each_surface_and_action(tmp_path):
    rows = random_rows(7, 2000)
    free, _ = build(rows, tmp_path / "free")
    capped, report = build(rows, tmp_path / "capped", cap_per_pin=2, cap_per_product=3)
    for role in ("query", "entity"):
        sizes = Counter(
            (pair["surface"], pair["action"], pair["query_type"], pair["entity_type"], pair[role])
            for pair in capped["train"]
            for kind in [pair[f"{role}_type"]]
            if kind in ("pin", "product")
        )
        for group, size in sizes.items():
            kind = group[2] if role == "query" else group[3]
            assert size <= {"pin": 2, "product": 3}[kind]
    kept = {key(pair) for pair in capped["train"]}
    assert kept < {key(pair) for pair in free["train"]}
    assert capped["dev"] == free["dev"] and capped["test"] == free["test"]
    dropped = report["dropped_by_cap_per_query"] + report["dropped_by_cap_per_entity"]
    assert dropped == len(free["train"]) - len(kept) > 0


def test_text_queries_are_not_capped(tmp_path):
    rows = [row for row in random_rows(8, 600) if row["query_type"] == "query" and row["entity_type"] == "product"]
    free, _ = build(rows, tmp_path / "free")
    capped, _ = build(rows, tmp_path / "capped", cap_per_pin=1)
    assert capped == free


def test_the_seed_chooses_what_a_cap_keeps_and_the_order_of_the_rows_does_not(tmp_path):
    rows = random_rows(9, 1500)
    once, _ = build(rows, tmp_path / "once", cap_per_pin=1, cap_per_product=1)
    again, _ = build(rows[::-1], tmp_path / "again", cap_per_pin=1, cap_per_product=1)
    other, _ = build(rows, tmp_path / "other", cap_per_pin=1, cap_per_product=1, seed=2)
    assert once == again
    assert once["train"] != other["train"]


def test_counts_default_to_one(tmp_path):
    rows = [{name: value for name, value in row.items() if name != "count"} for row in random_rows(3, 50)]
    built, _ = build(rows, tmp_path)
    times = Counter((row["split"], plain(row)) for row in rows if not with_itself(row))
    for part in PARTS:
        for pair in built[part]:
            assert pair["count"] == times[part, key(pair)] and pair["timestamp"] is None


def test_the_latest_timestamp_is_kept(tmp_path):
    rows = [dict(row, split="train") for row in random_rows(4, 100)]
    latest: dict = {}
    for day, row in enumerate(rows):
        row["timestamp"] = dt.datetime(2024, 1, 1) + dt.timedelta(days=(day * 37) % 100)
        if not with_itself(row):
            latest[plain(row)] = max(row["timestamp"], latest.get(plain(row), row["timestamp"]))
    built, _ = build(rows, tmp_path)
    assert {key(pair): pair["timestamp"] for pair in built["train"]} == latest
