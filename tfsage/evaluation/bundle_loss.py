"""What is lost between the exact search that an evaluation measures and the answers that a bundle gives."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tfsage.bundle import Bundle
from tfsage.config import EvaluationConfig, ExportConfig, TaskConfig
from tfsage.console import progress
from tfsage.errors import TfsageError
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import grouped
from tfsage.evaluation.serving_loss import Step, depths, serving_steps
from tfsage.files import write_text
from tfsage.index import Index
from tfsage.index.brute_force import BruteForceIndex

QUERIES = 2000
"""Of a task, at most: enough to tell a loss of recall of .01."""

SAME_SPACE = 0.99
"""The least mean cosine of a run's product vectors and a bundle's for the bundle to be of the run."""


def measure_bundle(run: str | Path, bundle: str | Path, split: str = "test") -> dict:
    """Measures the loss of serving of an evaluated run, step by step, and writes it into the run as serving.json.

    The steps are: "exact float32", the run's own vectors in exact search over the whole catalog; "SavedModel", text
    queries embedded by the exported query tower (for tasks that are asked through it); "stored embeddings", the vectors
    of the bundle in their type; "index", at its tuned effort; "filters", the retrieval service's way to leave out what
    is excluded for a query, from the same index. Tasks of the bundle's product tower only.

    Args:
        run: evaluated on `split`.
        bundle: its bundle.
        split: dev or test; for dev the file is serving_dev.json.

    Returns:
        {"bundle": space id, "split", "k", "tasks": {TASK: what `serving_steps` returns}}.

    Raises:
        TfsageError: the run is not evaluated, or the bundle is incomplete, damaged, of another catalog or of another
            run.
    """
    # Here and not above: the rest of the evaluator works without TensorFlow.
    from tfsage.health.bundle_space import bundle_space
    from tfsage.training.run import Run

    opened, frozen = Run.open(run), FrozenVectors(Path(run) / "vectors" / split)
    served = Bundle.open(bundle)
    config, tasks = opened.config, {}
    asked = [task for task in config.tasks if task.name in frozen.tasks and _is_served(task, config.export)]
    if not asked:
        raise TfsageError(f"{run}: no evaluated task looks for products of tower {config.export.product_tower!r}")
    space, index = bundle_space(served), served.load_index()
    rows = _rows_of(frozen.product_ids(asked[0].name), served)
    stored = np.concatenate([block.vectors for block in space.blocks()])
    for task in asked:
        texts = None
        if task.query_type == "query" and task.query_tower == config.export.query_tower and space.embed:
            texts = _texts(frozen, task, opened.data)
        steps, judgements = _steps(frozen, task.name, stored, rows, index, space.embed, texts, config.evaluation)
        tasks[task.name] = serving_steps(steps, judgements, config.evaluation)
    result = {"bundle": served.manifest.space_id, "split": split, "k": list(config.evaluation.k), "tasks": tasks}
    suffix = "" if split == "test" else f"_{split}"
    write_text(opened.folder / f"serving{suffix}.json", json.dumps(result, indent=2) + "\n")
    return result


def _steps(frozen, task: str, stored, rows, index: Index, embed, texts, config: EvaluationConfig):
    queries, products = frozen.vectors(task)
    judgements, chosen = _sample(frozen.judgements(task), config.seed)
    queries = queries[chosen]
    own = np.asarray(products[rows[:1000]])
    if (cosine := float(np.einsum("nd,nd->n", own, stored[:1000]).mean())) < SAME_SPACE:
        raise TfsageError(
            f"{frozen.folder}: the bundle is of another run: the vectors of the same products have a mean cosine of "
            f"{cosine:.3f}; export the run that was evaluated, or evaluate the one that was exported"
        )
    depth = depths(judgements, max(config.k))
    steps = [Step("exact float32", _search(BruteForceIndex(products), queries, depth, f"{task}: exact"))]
    if texts is not None:
        queries = embed([texts[row] for row in chosen])
        steps.append(Step("SavedModel", _search(BruteForceIndex(products), queries, depth, f"{task}: SavedModel")))
    found = _search(BruteForceIndex(stored), queries, depth, f"{task}: stored embeddings")
    steps.append(Step(f"stored embeddings ({stored.dtype})", _renamed(found, rows)))
    found = _search(index, queries, depth, f"{task}: index")
    steps.append(Step(f"index ({index.kind})", _renamed(found, rows)))
    steps.append(Step("filters", _filtered(index, stored, queries, judgements, rows, max(config.k))))
    return steps, judgements


def _search(index: Index, queries: np.ndarray, depth: np.ndarray, title: str) -> np.ndarray:
    """The lists of an index, each as deep as its query needs: a deeper search would recall more than serving does."""
    lists = np.full((len(queries), depth.max()), -1, np.int64)
    with progress() as bar:
        task = bar.add_task(title, total=len(queries), note="")
        for each in np.unique(depth):
            asked = np.flatnonzero(depth == each)
            lists[asked, :each] = index.search(queries[asked], int(each)).rows
            bar.advance(task, len(asked))
    return lists


def _filtered(
    index: Index, stored: np.ndarray, queries: np.ndarray, judgements: Judgements, rows: np.ndarray, k: int
) -> np.ndarray:
    """The lists of the retrieval service when it is asked for k products without the excluded ones.

    The query's other positives are asked for on top, since they do not count.
    """
    from tfsage.retrieval.searcher import Searcher

    searcher, place = Searcher(index, stored), np.argsort(rows)
    positives = np.bincount(judgements.query, minlength=judgements.queries)
    lists = np.full((len(queries), k + positives.max()), -1, np.int64)
    relevant_of = grouped(judgements.query, judgements.queries)
    excluded_of = grouped(judgements.excluded_query, judgements.queries)
    for query, vector in enumerate(queries):
        gone = np.setdiff1d(judgements.excluded_product[excluded_of(query)], judgements.product[relevant_of(query)])
        found, *_ = searcher.nearest(vector, k + int(positives[query]), excluded=place[gone])
        lists[query, : len(found)] = rows[found]
    return lists


def _sample(judgements: Judgements, seed: int) -> tuple[Judgements, np.ndarray]:
    """At most `QUERIES` of the queries, and their rows, rising; every product competes."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(judgements.queries)[:QUERIES])
    pairs, barred = np.isin(judgements.query, chosen), np.isin(judgements.excluded_query, chosen)
    sampled = Judgements(
        query=np.searchsorted(chosen, judgements.query[pairs]),
        product=judgements.product[pairs],
        weight=judgements.weight[pairs],
        products=judgements.products,
        distractors=np.arange(judgements.products),
        excluded_query=np.searchsorted(chosen, judgements.excluded_query[barred]),
        excluded_product=judgements.excluded_product[barred],
    )
    return sampled, chosen


def _is_served(task: TaskConfig, export: ExportConfig) -> bool:
    return task.entity_type == "product" and task.candidate_tower == export.product_tower


def _texts(frozen: FrozenVectors, task: TaskConfig, data) -> list[str]:
    """The text of each query of a task, in the order of its judgements."""
    judgements, ids = frozen.judgements(task.name), frozen.pair_ids(task.name)["query_id"].to_pylist()
    asked = dict(zip(judgements.query.tolist(), ids, strict=True))
    store = data.queries("query")
    row = {name: place for place, name in enumerate(store.ids.gather(np.arange(store.count)))}
    return store.texts.gather(np.array([row[asked[query]] for query in range(judgements.queries)]))


def _rows_of(product_ids: list[str], bundle: Bundle) -> np.ndarray:
    """int64 [products]: for each product of the bundle its row among the frozen vectors."""
    row = {name: place for place, name in enumerate(product_ids)}
    served = list(_served_ids(bundle))
    if set(served) != set(row):
        raise TfsageError(
            f"{bundle.folder}: holds another catalog ({len(served):,} products) than the evaluation ({len(row):,}); "
            "measure the loss of serving with a bundle of the catalog that the run was evaluated on"
        )
    return np.array([row[name] for name in served])


def _served_ids(bundle: Bundle) -> Iterator[str]:
    for part in bundle.parts():
        yield from map(str, pq.read_table(part, columns=["product_id"], partitioning=None)["product_id"].to_pylist())


def _renamed(lists: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.where(lists < 0, -1, rows[lists])
