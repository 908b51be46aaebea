"""The training pairs of tasks as memory-mapped arrays, so that reading batches takes the same memory for any log."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np

from tfsage.config import TaskConfig
from tfsage.data.engine import connect
from tfsage.data.fingerprint import fingerprint
from tfsage.data.prepared import PreparedData, task_pairs
from tfsage.data.staging import make_once, staged_folder
from tfsage.data.stores import ArrayWriter
from tfsage.parquet import open_parquet

FOLDER = "training_pairs"
"""Within the prepared folder. What lies there is computed from pairs_train.parquet when it is first asked for."""

_ROWS_AT_ONCE = 1 << 18


class TrainingPairs(NamedTuple):
    """Distinct (query, candidate) pairs of one task, ordered by query and candidate; memory-mapped.

    Attributes:
        query: int64 [n], rows of the queries of the task's type.
        candidate: int64 [n], rows of the catalog of the task's entity type.
        weight: float32 [n], the largest weight among the actions seen for the pair.
    """

    query: np.ndarray
    candidate: np.ndarray
    weight: np.ndarray


def training_pairs(data: PreparedData, task: TaskConfig) -> TrainingPairs:
    """The pairs of a task whose source is `engagements`."""
    about = {"pairs": [task.surface, task.query_type, task.entity_type, sorted(task.actions.items())]}

    def ordered(table: ibis.Table) -> ibis.Table:
        pairs = task_pairs(table, task.surface, task.query_type, task.actions, task.entity_type)
        return pairs.select("query", candidate="entity", weight=pairs.weight.cast("float32"))

    return TrainingPairs(*_arrays(data, about, ordered, TrainingPairs._fields))


def known_pairs(
    data: PreparedData, tasks: Iterable[TaskConfig], first_query_id: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """All distinct (query id, candidate) of several tasks, ordered by both: two memory-mapped int64 [n].

    Args:
        data: the prepared folder.
        tasks: those whose source is `engagements`; all about the same entity type.
        first_query_id: the id of the first query, by type of query.
    """
    groups = sorted(
        {
            (first_query_id[t.query_type], t.surface, t.query_type, t.entity_type, tuple(sorted(t.actions)))
            for t in tasks
        }
    )

    def ordered(table: ibis.Table) -> ibis.Table:
        chosen = [
            task_pairs(table, surface, query_type, dict.fromkeys(actions, 1.0), entity_type).select(
                query_id=ibis._.query + first, candidate="entity"
            )
            for first, surface, query_type, entity_type, actions in groups
        ]
        return ibis.union(*chosen, distinct=True) if len(chosen) > 1 else chosen[0]

    if not groups:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return tuple(_arrays(data, {"known": groups}, ordered, ("query_id", "candidate")))


def _arrays(data: PreparedData, about: dict, select, columns: tuple[str, ...]) -> list[np.ndarray]:
    """Columns of the rows that `select` takes from the table of training pairs, ordered by the first two of them."""
    about = json.dumps([about, fingerprint(data.folder, ["pairs_train.parquet"])])
    folder = _root(data.folder) / hashlib.sha256(about.encode()).hexdigest()[:16]

    def make() -> None:
        with staged_folder(folder, "about.json") as staged, tempfile.TemporaryDirectory(dir=staged) as scratch:
            connection, ordered = connect(Path(scratch)), Path(scratch) / "ordered.parquet"
            rows = select(connection.read_parquet(data.folder / "pairs_train.parquet"))
            connection.to_parquet(rows.order_by(*columns[:2]), ordered)
            writers = {name: ArrayWriter(staged / f"{name}.npy", rows.schema()[name].to_numpy()) for name in columns}
            for batch in open_parquet(ordered).iter_batches(_ROWS_AT_ONCE):
                for name, writer in writers.items():
                    writer.append(batch[name].to_numpy())
            for writer in writers.values():
                writer.close()
            (staged / "about.json").write_text(about)

    make_once(folder, "about.json", make)
    return [np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in columns]


@cache
def _root(data_folder: Path) -> Path:
    """Where the arrays are kept: with the data, or where those cannot be written, with this process."""
    if os.access(data_folder, os.W_OK):
        return data_folder / FOLDER
    return Path(_scratch().name)


@cache
def _scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="tfsage-")
