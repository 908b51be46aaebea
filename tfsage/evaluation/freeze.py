"""Embeds what an evaluation needs and writes it down: after this no model is needed any more."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.config import TaskConfig
from tfsage.data.prepared import PreparedData
from tfsage.evaluation.frozen import candidate_file, write_task
from tfsage.evaluation.task_pairs import TaskPairs

_ENTITIES = 131_072
"""Embedded between two writes to the disk."""


def freeze_vectors(
    folder: Path, data: PreparedData, towers: dict, tasks: list[tuple[TaskConfig, TaskPairs]]
) -> dict[str, dict[str, str]]:
    """Embeds the candidates and the queries of every task and writes them with the pairs (see `frozen` for the files).

    Args:
        folder: empty.
        data: the prepared folder.
        towers: by name.
        tasks: every task with its pairs.

    Returns:
        For each task the files of its query and candidate vectors, and the entity type of the candidates.
    """
    # Here and not above: the rest of the evaluator works without TensorFlow.
    from tfsage.embedding import embed_entities, embed_queries

    for kind, name in sorted({(task.entity_type, task.candidate_tower) for task, _ in tasks}):
        count = data.entity(kind).count
        path = folder / candidate_file(kind, name)
        vectors = np.lib.format.open_memmap(path, "w+", np.float32, (count, towers[name].dimension))
        for start in range(0, count, _ENTITIES):
            rows = np.arange(start, min(start + _ENTITIES, count))
            vectors[rows] = embed_entities(towers[name], data, kind, rows)
        vectors.flush()
    query_rows = {}
    for name, query_type in sorted({(task.query_tower, task.query_type) for task, _ in tasks}):
        parts = [pairs.query_rows for task, pairs in tasks if (task.query_tower, task.query_type) == (name, query_type)]
        rows = query_rows[name, query_type] = np.unique(np.concatenate(parts))
        np.save(folder / f"queries_{name}_{query_type}.npy", embed_queries(towers[name], data, query_type, rows))
        ids = pa.table({"query_id": data.queries(query_type).ids.gather(rows)})
        pq.write_table(ids, folder / f"queries_{name}_{query_type}.parquet")
    files = {}
    for task, pairs in tasks:
        place = np.searchsorted(query_rows[task.query_tower, task.query_type], pairs.query_rows)
        query_ids = data.queries(task.query_type).ids.gather(pairs.query_rows[pairs.judgements.query])
        entity_ids = data.entity(task.entity_type).ids.gather(pairs.judgements.product)
        write_task(folder / task.name, pairs.judgements, place, query_ids, entity_ids)
        files[task.name] = {
            "queries": f"queries_{task.query_tower}_{task.query_type}.npy",
            "products": candidate_file(task.entity_type, task.candidate_tower),
            "entity_type": task.entity_type,
        }
    return files
