"""Embeds what an evaluation needs and writes it down: after this no model is needed any more."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.config import TaskConfig
from tfsage.data.prepared import PreparedData
from tfsage.evaluation.frozen import write_task
from tfsage.evaluation.task_pairs import TaskPairs

_PRODUCTS = 131_072


def freeze_vectors(
    folder: Path, data: PreparedData, towers: dict, tasks: list[tuple[TaskConfig, TaskPairs]]
) -> dict[str, dict[str, str]]:
    """Embeds the catalog and the queries of every task and writes them with the pairs (see `frozen` for the files).

    Args:
        folder: empty.
        data: the prepared folder.
        towers: by name.
        tasks: every task with its pairs.

    Returns:
        For each task the files of its query and product vectors.
    """
    # Here and not above: the rest of the evaluator works without TensorFlow.
    from tfsage.embedding import embed_products, embed_queries

    for name in sorted({task.candidate_tower for task, _ in tasks}):
        shape = data.product_count, towers[name].dimension
        vectors = np.lib.format.open_memmap(folder / f"products_{name}.npy", "w+", np.float32, shape)
        for start in range(0, data.product_count, _PRODUCTS):
            rows = np.arange(start, min(start + _PRODUCTS, data.product_count))
            vectors[rows] = embed_products(towers[name], data, rows)
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
        product_ids = data.product_ids.gather(pairs.judgements.product)
        write_task(folder / task.name, pairs.judgements, place, query_ids, product_ids)
        queries = f"queries_{task.query_tower}_{task.query_type}.npy"
        files[task.name] = {"queries": queries, "products": f"products_{task.candidate_tower}.npy"}
    return files
