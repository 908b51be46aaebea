"""Merging months agrees with a full recount because months keep more than the feature holds."""

import datetime as dt

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfsage.config import EnrichConfig
from tfsage.data.enrichment.engaged_queries import query_scores, top_queries
from tfsage.data.enrichment.partials import PERIOD, Partials
from tfsage.errors import TfsageError

FIRST = dt.datetime(2022, 1, 1)
MONTHS = 24
WEIGHTS = {"click": 1.0, "save": 2.0}


@pytest.fixture(scope="module")
def connection(tmp_path_factory) -> ibis.BaseBackend:
    """Two years of 5 much engaged products: 3,000 queries each, by Zipf's law, of which a month sees two thirds."""
    rng = np.random.default_rng(0)
    products, texts, events = 3, 12_000, 20_000
    shares = 1.0 / np.arange(1, texts + 1) ** 0.6
    counts = rng.multinomial(events, shares / shares.sum(), (products, MONTHS))
    product, month, place = np.nonzero(counts)
    query = np.stack([rng.permutation(texts) for _ in range(products)])[product, place]
    rows = len(product)
    log = {
        "query_type": ["query"] * rows,
        "query_id": np.char.add("q", query.astype(str)),
        "entity_type": ["product"] * rows,
        "entity_id": np.char.add("p", product.astype(str)),
        "action": rng.choice(list(WEIGHTS), rows),
        "count": counts[product, month, place],
        "timestamp": np.datetime64(FIRST, "us") + (30 * month + rng.integers(30, size=rows)).astype("timedelta64[D]"),
    }
    assert rows / (products * MONTHS) > 2 * EnrichConfig().kept_queries
    names = sorted(set(log["query_id"]))
    queries = {"query_id": names, "text": [f"text of {name}" for name in names]}
    folder, connection = tmp_path_factory.mktemp("log"), ibis.duckdb.connect()
    for name, columns in (("log", log), ("queries", queries)):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
        connection.read_parquet(folder / f"{name}.parquet", table_name=name)
    return connection


def entries(scores: ibis.Table) -> set[tuple]:
    rows = top_queries(scores, 20).to_pyarrow().to_pylist()
    return {(row["entity_id"], row["text"]) for row in rows}


def agreement(connection, folder, kept: int) -> float:
    """The share of the top 20 of a full recount that 24 merged months have too."""
    log, queries = connection.table("log"), connection.table("queries")
    partials = Partials(folder, kept, WEIGHTS)
    for month in range(MONTHS):
        # Every month the job runs again, and finds one period that it has not counted.
        until = FIRST + (month + 1) * PERIOD
        for start, stop in partials.missing(FIRST, until):
            between = log.filter(log.timestamp >= ibis.literal(start), log.timestamp < ibis.literal(stop))
            partials.add(query_scores(between, queries, WEIGHTS), start, stop)
    merged = entries(partials.merged(connection, FIRST))
    full = entries(query_scores(log, queries, WEIGHTS))
    assert len(full) == 60
    return len(full & merged) / len(full)


def test_months_that_keep_enough_agree_with_a_full_recount_and_months_that_keep_twenty_do_not(connection, tmp_path):
    assert agreement(connection, tmp_path / "kept", EnrichConfig().kept_queries) >= 0.99
    assert agreement(connection, tmp_path / "cut", 20) < 0.97


def test_periods_tile_what_is_not_counted_yet(tmp_path):
    partials = Partials(tmp_path / "state", 20, WEIGHTS)
    end = FIRST + dt.timedelta(days=70)
    periods = list(partials.missing(FIRST, end))
    assert periods[0][0] == FIRST and periods[-1][1] == end
    assert all(one[1] == other[0] for one, other in zip(periods, periods[1:], strict=False))
    assert [(last - first).days for first, last in periods] == [30, 30, 10]


@pytest.fixture
def counted(tmp_path, connection) -> Partials:
    """Two periods of a hundred days are counted."""
    partials = Partials(tmp_path / "state", 20, WEIGHTS)
    log, queries = connection.table("log"), connection.table("queries")
    for start in (FIRST, FIRST + dt.timedelta(days=100)):
        between = log.filter(log.timestamp >= ibis.literal(start), log.timestamp < ibis.literal(start + PERIOD))
        partials.add(query_scores(between, queries, WEIGHTS), start, start + dt.timedelta(days=100))
    return partials


def test_what_is_counted_is_not_counted_again(counted, tmp_path):
    end = FIRST + dt.timedelta(days=200)
    assert list(counted.missing(FIRST, end)) == []
    again = Partials(tmp_path / "state", 20, WEIGHTS)
    assert list(again.missing(FIRST, end + dt.timedelta(days=1))) == [(end, end + dt.timedelta(days=1))]


def test_a_state_that_knows_the_future_is_refused(counted):
    with pytest.raises(TfsageError, match="counts engagements up to 2022-07-20 .*name a later date"):
        list(counted.missing(FIRST, FIRST + dt.timedelta(days=150)))


def test_periods_leave_with_the_window(counted, connection, tmp_path):
    everything = entries(counted.merged(connection, FIRST))
    assert len(list((tmp_path / "state").glob("*.parquet"))) == 2
    late = entries(counted.merged(connection, FIRST + dt.timedelta(days=100)))
    assert len(list((tmp_path / "state").glob("*.parquet"))) == 1
    assert late != everything


def test_a_state_is_of_one_setting_and_nothing_else_lies_there(tmp_path):
    Partials(tmp_path / "state", 20, WEIGHTS)
    with pytest.raises(TfsageError, match="was begun with .* begin another state folder"):
        Partials(tmp_path / "state", 30, WEIGHTS)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(TfsageError, match="not empty, and no state"):
        Partials(tmp_path / "other", 20, WEIGHTS)
