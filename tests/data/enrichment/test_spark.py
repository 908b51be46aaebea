"""The same expressions give the same rows on PySpark, where it and Java are installed (extra `spark`)."""

import importlib.util
import shutil

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.enrichment.test_board_titles import random_boards
from tests.data.enrichment.test_engaged_queries import TEXTS, WEIGHTS, random_log
from tfsage.data.enrichment.board_titles import top_board_titles
from tfsage.data.enrichment.engaged_queries import query_scores, top_queries


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    boards = [{**row, "title": row["title"] + str(rng.choice(["", " Über", "  ÉTÉ"]))} for row in random_boards(1)]
    tables = {
        "boards": boards,
        "engagements": random_log(2),
        "queries": [{"query_id": query, "text": text} for query, text in TEXTS.items()],
    }
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def spark():
    """An Ibis backend on a local Spark, or None."""
    lacking = [name for name in ("pyspark", "pandas") if importlib.util.find_spec(name) is None]
    lacking += [] if shutil.which("java") else ["java"]
    if lacking:
        print(f"\nLeft out: the enrichment expressions on PySpark, for want of {', '.join(lacking)}")
        yield None
        return
    from pyspark.sql import SparkSession

    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.host": "127.0.0.1"}
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield ibis.pyspark.connect(session)
    session.stop()


def rows(connection, folder) -> tuple[list[dict], list[dict]]:
    tables = {
        name: connection.read_parquet(folder / f"{name}.parquet") for name in ("boards", "engagements", "queries")
    }
    titles = top_board_titles(tables["boards"], 5).order_by("entity_id", "place")
    queries = top_queries(query_scores(tables["engagements"], tables["queries"], WEIGHTS), 5)
    queries = queries.order_by("entity_type", "entity_id", "place")
    return titles.to_pyarrow().to_pylist(), queries.to_pyarrow().to_pylist()


def test_spark_gives_the_rows_of_duckdb(spark, folder):
    titles, queries = rows(ibis.duckdb.connect(), folder)
    assert len(titles) > 40 and len(queries) > 30
    if spark is not None:
        assert rows(spark, folder) == (titles, queries)
