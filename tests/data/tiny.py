"""A shop small enough to be checked by hand, as columns, and as the Parquet tables that `prepare` reads."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.config import Config

DIMENSION = 4
FIRST_DAY = dt.datetime(2024, 1, 1)


def tiny_shop() -> dict[str, dict]:
    """Columns by table: 6 products, 3 pins, 4 queries, 12 engagements over 100 days."""
    rng = np.random.default_rng(0)
    images = [[rng.normal(size=DIMENSION).astype(np.float32).tolist() for _ in range(1 + row % 3)] for row in range(6)]
    return {
        "products": {
            "product_id": [f"p{row}" for row in range(6)],
            "title": ["walnut desk", "oak desk", "red lamp", "blue lamp", "wool rug", None],
            "colors": [["brown"], [], ["red", "crimson"], ["blue"], None, ["green"]],
            "image_embeddings": images,
        },
        "pins": {
            "pin_id": ["a", "b", "c"],
            "embedding": rng.normal(size=(3, DIMENSION)).astype(np.float32).tolist(),
        },
        "queries": {
            "query_id": ["q0", "q1", "q2", "q3"],
            "text": ["walnut desk", "a lamp in red", "rug", "zyzzyva bench"],
        },
        "engagements": {
            "surface": ["search"] * 8 + ["closeup"] * 4,
            "query_type": ["query"] * 8 + ["pin"] * 4,
            "query_id": ["q0", "q0", "q1", "q1", "q2", "q2", "q3", "q0", "a", "a", "b", "c"],
            "entity_type": ["product"] * 12,
            "entity_id": ["p0", "p1", "p2", "p3", "p4", "p4", "p5", "p0", "p0", "p1", "p2", "p3"],
            "action": ["click", "save", "click", "checkout", "click", "click", "click", "save", *["click"] * 4],
            "count": [3, 1, 2, 1, 4, 5, 1, 1, 1, 1, 1, 1],
            "timestamp": [FIRST_DAY + dt.timedelta(days=day) for day in (0, 1, 2, 3, 4, 5, 99, 6, 7, 8, 9, 92)],
        },
    }


def write_tables(folder: Path, tables: dict[str, dict | pa.Table]) -> Path:
    """Writes each table as FOLDER/<name>.parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def tiny_config(**prepare) -> Config:
    """A config whose towers read the tiny shop's columns; keywords are its `prepare` section."""
    images = {"column": "image_embeddings", "dimension": DIMENSION}
    return Config.model_validate(
        {
            "towers": {
                "product": {"kind": "itemsage", "images": images, "dimension": DIMENSION},
                "text": {"kind": "ngram", "dimension": DIMENSION},
                "pin": {"kind": "frozen", "input_dimension": DIMENSION, "dimension": DIMENSION},
            },
            "tasks": [
                {
                    "name": "closeup",
                    "surface": "closeup",
                    "query_type": "pin",
                    "actions": {"click": 1.0},
                    "query_tower": "pin",
                },
                {"name": "search", "surface": "search", "actions": {"click": 1.0}, "query_tower": "text"},
            ],
            "prepare": prepare,
        }
    )
