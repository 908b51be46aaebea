import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfsage.data.schema import TABLES
from tfsage.errors import TfsageError
from tfsage.graph.neighbours import COLUMN, write_neighbours

PINS = np.eye(5, 4, dtype=np.float32)


def write_tables(folder, **without):
    """Product a shares a board with the pins 0 and 1, and through pin 1 reaches 2; product b is on no board."""
    folder.mkdir()
    boards = [("x", "a"), ("x", "pin0"), ("x", "pin1"), ("y", "pin1"), ("y", "pin2"), ("z", "pin3"), ("z", "pin4")]
    tables = {
        "products": {"product_id": ["a", "b"], "title": ["Desk", None]},
        "pins": {"pin_id": [f"pin{row}" for row in range(5)], "embedding": PINS.tolist()},
        "boards": {"board_id": [board for board, _ in boards], "entity_id": [thing for _, thing in boards]},
        "engagements": {
            "surface": ["closeup"], "query_type": ["pin"], "query_id": ["pin0"], "entity_type": ["product"],
            "entity_id": ["a"], "action": ["click"],
        },
    }  # fmt: skip
    for name, columns in tables.items():
        if name not in without:
            pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def test_products_get_the_embeddings_of_their_neighbours(tmp_path):
    found = write_neighbours(write_tables(tmp_path / "in"), tmp_path / "out", count=2)
    assert found == {"products": 2, "with": 1, "edges": 7}
    rows = pq.read_table(tmp_path / "out" / "products.parquet").to_pylist()
    assert [row["title"] for row in rows] == ["Desk", None]
    # pin1 is on two boards with what the walks reach, pin0 on one; pin2 is further away, 3 and 4 are out of reach.
    assert rows[0][COLUMN] == PINS[[1, 0]].tolist() and rows[1][COLUMN] == []
    assert pq.read_table(tmp_path / "out" / "pins.parquet").equals(pq.read_table(tmp_path / "in" / "pins.parquet"))
    assert json.loads((tmp_path / "out" / "enrichment.json").read_text())[COLUMN]["count"] == 2
    # Again, on top of what is there: the column is replaced.
    write_neighbours(tmp_path / "out", tmp_path / "again", count=3)
    rows = pq.read_table(tmp_path / "again" / "products.parquet").to_pylist()
    assert rows[0][COLUMN] == PINS[[1, 0, 2]].tolist()


@pytest.mark.parametrize("table", ["boards", "pins"])
def test_a_table_that_is_missing_is_named(tmp_path, table):
    assert table in TABLES
    with pytest.raises(TfsageError, match=f"there is no table {table}"):
        write_neighbours(write_tables(tmp_path / "in", **{table: False}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
