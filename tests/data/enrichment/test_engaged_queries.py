"""Engaged queries against plain Python, in full and merged from months."""

from collections import Counter, defaultdict

import ibis
import numpy as np
import pytest

from tfsage.data.enrichment.engaged_queries import query_scores, sum_scores, top_queries

WEIGHTS = {"click": 1.0, "save": 2.5, "checkout": 8.0}
TEXTS = {f"q{row}": f" text {row % 9} " for row in range(12)} | {"blank": "  "}


def random_log(seed: int, count: int = 500) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [
        {
            "query_type": str(rng.choice(["query", "pin"], p=[0.8, 0.2])),
            "query_id": str(rng.choice([*TEXTS, "unknown"])),
            "entity_type": str(rng.choice(["product", "pin", "query"])),
            "entity_id": f"e{rng.integers(4)}",
            "action": str(rng.choice([*WEIGHTS, "long_click"])),
            "count": int(rng.integers(0, 4)),
        }
        for _ in range(count)
    ]


def queries() -> ibis.Table:
    return ibis.memtable({"query_id": list(TEXTS), "text": list(TEXTS.values())})


def lists(table: ibis.Table) -> dict[tuple, list[str]]:
    found = defaultdict(list)
    for row in table.order_by("entity_type", "entity_id", "place").to_pyarrow().to_pylist():
        assert row["place"] == len(found[row["entity_type"], row["entity_id"]])
        found[row["entity_type"], row["entity_id"]].append(row["text"])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_queries_are_those_of_plain_python(seed):
    rows = random_log(seed)
    scores = defaultdict(Counter)
    for row in rows:
        text = TEXTS.get(row["query_id"], "").strip()
        counts = row["query_type"] == "query" and row["entity_type"] != "query" and row["count"] > 0 and text
        if counts and row["action"] in WEIGHTS:
            scores[row["entity_type"], row["entity_id"]][text] += WEIGHTS[row["action"]] * row["count"]
    expected = {
        entity: sorted(counted, key=lambda text, counted=counted: (-counted[text], text))[:5]
        for entity, counted in scores.items()
    }
    assert lists(top_queries(query_scores(ibis.memtable(rows), queries(), WEIGHTS), 5)) == expected
    assert max(map(len, expected.values())) == 5


def test_merged_scores_are_the_scores_of_the_whole_log():
    rows = random_log(5)
    whole = query_scores(ibis.memtable(rows), queries(), WEIGHTS)
    halves = [query_scores(ibis.memtable(rows[start::2]), queries(), WEIGHTS) for start in (0, 1)]
    columns = ["entity_type", "entity_id", "text"]
    merged = sum_scores(ibis.union(*halves)).order_by(columns).to_pyarrow()
    assert merged.equals(whole.order_by(columns).to_pyarrow().select(merged.schema.names))
