import ibis
import numpy as np
import pytest

from tfsage.data.bad_rows import EXAMPLES, BadRows


@pytest.fixture
def bad(tmp_path):
    return BadRows(ibis.duckdb.connect(), tmp_path / "bad")


def test_nothing_is_bad_at_first(bad):
    rows = ibis.memtable({"file": ["a", "a"], "row": [0, 1]})
    assert bad.problems() == [] and bad.describe() == ""
    assert bad.good("pins", rows).count().to_pyarrow().as_py() == 2
    assert bad.rows_of("pins", "a")[0].tolist() == []


def test_good_rows_are_the_others_of_that_table_and_file(bad):
    bad.add("pins", "a", "embedding", "too short", np.array([1, 3]), ["x", "y"])
    bad.add("products", "a", "title", "odd", np.array([0]), ["z"])
    rows = ibis.memtable({"file": ["a"] * 4 + ["b"] * 4, "row": [0, 1, 2, 3] * 2})
    good = bad.good("pins", rows).order_by("file", "row").to_pyarrow().to_pylist()
    assert [(row["file"], row["row"]) for row in good] == [("a", 0), ("a", 2), *[("b", row) for row in range(4)]]


def test_a_row_with_two_faults_is_one_row_with_both_reasons(bad):
    bad.add("pins", "a", "title", "odd", np.array([4]), ["x"])
    bad.add("pins", "a", "embedding", "too short", np.array([4, 9]), ["x", "y"])
    rows, reasons = bad.rows_of("pins", "a")
    assert rows.tolist() == [4, 9]
    assert reasons == ["embedding: too short; title: odd", "embedding: too short"]
    assert [problem["rows"] for problem in bad.problems()] == [2, 1]
    assert bad.columns_with("pins", "odd") == {"title"}


def test_rows_of_an_expression(bad):
    found = ibis.memtable({"file": ["f/part.parquet"] * 8, "row": range(8), "example": [f"p{row}" for row in range(8)]})
    bad.add_expression("products", "product_id", "null", found)
    (problem,) = bad.problems()
    assert problem["rows"] == 8 and len(problem["examples"]) == EXAMPLES
    assert problem["examples"][0] == "p0 (part.parquet row 0)"
    assert bad.describe().startswith(
        "  products, column product_id: 8 rows: null; for example p0 (part.parquet row 0), "
    )
