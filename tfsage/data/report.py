"""What `prepare` tells about its work."""

import json
from pathlib import Path

import ibis
from ibis import _

from tfsage.data.schema import SPLITS


def describe_pairs(connection: ibis.BaseBackend, folder: Path) -> list[dict]:
    """Pairs, engagements and distinct queries for every split, surface, type of query and action."""
    rows = []
    for split in SPLITS:
        pairs = connection.read_parquet(folder / f"pairs_{split}.parquet")
        by = ["surface", "query_type", "entity_type", "action"]
        counted = pairs.group_by(by).agg(pairs=_.count(), engagements=_["count"].sum(), queries=_.query.nunique())
        rows += [{"split": split, **row} for row in counted.order_by(by).to_pyarrow().to_pylist()]
    return rows


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
