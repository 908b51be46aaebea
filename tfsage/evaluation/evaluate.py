"""`tfsage evaluate`: a run folder in, metrics.json and report.html into it."""

import json
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from tfsage.config import EvaluationConfig, TaskConfig
from tfsage.console import console
from tfsage.data.missing import missing_features
from tfsage.data.prepared import PreparedData
from tfsage.data.schema import TABLE_OF_TYPE
from tfsage.errors import TfsageError
from tfsage.evaluation.baselines import normalised, product_texts, rank_randomly, write_image_sums
from tfsage.evaluation.bm25 import BM25
from tfsage.evaluation.bootstrap import CONFIDENCE
from tfsage.evaluation.bundle_loss import measure_bundle
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.distractors import choose_distractors
from tfsage.evaluation.examples import Example, choose_examples
from tfsage.evaluation.facts import load_grades, load_strata
from tfsage.evaluation.freeze import freeze_vectors
from tfsage.evaluation.frozen import TASKS, FrozenVectors, write_products, write_ranks, write_strata, write_tasks
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.measure import MODEL, LexicalRows, measure_task
from tfsage.evaluation.named_ranks import named_ranks
from tfsage.evaluation.ranks import PairRanks, rank_rows, rank_static
from tfsage.evaluation.report import write_report
from tfsage.evaluation.table import metrics_table, serving_table
from tfsage.evaluation.task_pairs import TaskPairs, load_task_pairs
from tfsage.evaluation.unfinished import evaluation_key, unfinished_folder
from tfsage.files import write_text

_EXAMPLES = 3
_STATE = "state"


def evaluate_run(run: str | Path, split: str = "test", bundle: str | Path | None = None) -> dict:
    """Evaluates every engagement task of a run on one split, with the baselines beside it.

    Rankings below RUN/baselines (`tfsage baselines` makes some) stand beside the built-in baselines.

    Writes into the run: vectors/SPLIT (see `frozen`), metrics.json and report.html; for dev metrics_dev.json and
    report_dev.html, so that choosing on dev does not overwrite what test said. After a kill the same call goes on: with
    the vectors when they are all embedded, and with the counts of a long ranking.

    Args:
        run: a trained run folder.
        split: dev or test.
        bundle: one that was exported from the run; what its serving loses is measured as well, and written to
            serving.json (see `measure_bundle`). Without it, a serving.json of an earlier evaluation is removed.

    Returns:
        What metrics.json says: "split", "distractors" and "distractor_set" of the products, "products", "candidates"
        (of every entity type), "missing_features" (see `MissingFeature`), "k", "bootstrap", "confidence", "seed",
        "skipped" (tasks without pairs) and "tasks" (see `measure_task`).

    Raises:
        TfsageError: it is not a trained run, or no task has a pair in this split.
    """
    # Here and not above: the rest of the evaluator works without TensorFlow.
    from tfsage.training.run import Run

    opened = Run.open(run)
    config, data = opened.config.evaluation, opened.data
    asked = [task for task in opened.config.tasks if task.source == "engagements"]
    # Products always: without a task of theirs the report still tells their number.
    kinds = dict.fromkeys(["product", *(task.entity_type for task in asked if task.entity_type in data.entity_types)])
    ids = {kind: data.entity(kind).ids.gather(np.arange(data.entity(kind).count)) for kind in kinds}
    chosen = {kind: choose_distractors(ids[kind], config.distractors, config.seed) for kind in kinds}
    distractors = chosen["product"]
    found = [
        (task, load_task_pairs(data, task, split, config, chosen[task.entity_type]))
        if task.entity_type in kinds
        else (task, None)
        for task in asked
    ]
    tasks = [(task, pairs) for task, pairs in found if pairs is not None]
    if not tasks:
        raise TfsageError(
            f"{data.folder}: no task of this run has a pair in the {split} split, so there is nothing to evaluate; "
            "prepare with a larger share or window for it (`prepare.split` in the config)"
        )
    metrics = {
        "format": 2,
        "split": split,
        "distractors": len(distractors.rows),
        "distractor_set": distractors.describe(),
        "products": data.product_count,
        "candidates": {kind: {"count": len(ids[kind]), "distractors": len(chosen[kind].rows)} for kind in kinds},
        "missing_features": [each._asdict() for each in missing_features(data, opened.config)],
        "k": list(config.k),
        "bootstrap": config.bootstrap,
        "confidence": CONFIDENCE,
        "seed": config.seed,
        "skipped": [task.name for task, pairs in found if pairs is None],
        "tasks": {},
    }
    examples = {}
    key = evaluation_key(opened.config.model_dump_json(), opened.folder, data.folder, split)
    with unfinished_folder(opened.folder / "vectors" / split, key, TASKS) as folder:
        if not (folder / TASKS).exists():
            for kind in kinds:
                write_products(folder, ids[kind], chosen[kind].rows, chosen[kind].remaining, kind)
            write_tasks(folder, freeze_vectors(folder, data, opened.load_towers(), tasks))
        vectors, catalogs = FrozenVectors(folder), {kind: _Catalog(data, kind, folder) for kind in kinds}
        for task, pairs in tasks:
            console.print(f"Evaluating {task.name}: {len(pairs.judgements.query):,} pairs")
            catalog = catalogs[task.entity_type]
            named = named_ranks(opened.folder, split, task.name, pairs.judgements)
            measured = _evaluate_task(vectors, task, pairs, config, catalog, named)
            metrics["tasks"][task.name], examples[task.name] = measured
        shutil.rmtree(folder / _STATE, ignore_errors=True)
    suffix = "" if split == "test" else f"_{split}"
    write_text(opened.folder / f"metrics{suffix}.json", json.dumps(metrics, indent=2) + "\n")
    (opened.folder / f"serving{suffix}.json").unlink(missing_ok=True)
    served = {} if bundle is None else measure_bundle(opened.folder, bundle, split)["tasks"]
    write_report(opened.folder / f"report{suffix}.html", opened.folder, data.folder, metrics, examples)
    console.print(metrics_table(metrics))
    for name, steps in served.items():
        console.print(serving_table(name, steps, config.k[0]))
    for name, measured in metrics["tasks"].items():
        for alarm in measured["alarms"]:
            console.print(f"[bold red]{name}[/]: {alarm}")
    return metrics


class _Catalog:
    """What the baselines need of the catalog of an entity type, read at most once."""

    def __init__(self, data: PreparedData, entity_type: str, folder: Path):
        self.data, self.entity, self._folder = data, data.entity(entity_type), folder

    @cached_property
    def bm25(self) -> BM25:
        if self.entity.kind == "query":
            return BM25(self.entity.texts.gather(np.arange(self.entity.count)))
        table = self.data.folder / f"{TABLE_OF_TYPE[self.entity.kind]}.parquet"
        return BM25(product_texts(table, self.entity.text_fields))

    @cached_property
    def image_sums(self) -> np.ndarray:
        write_image_sums(self.data.images(), self._folder / "image_sums.npy")
        return np.load(self._folder / "image_sums.npy", mmap_mode="r")


def _evaluate_task(
    vectors: FrozenVectors,
    task: TaskConfig,
    pairs: TaskPairs,
    config: EvaluationConfig,
    catalog: _Catalog,
    named: dict[str, PairRanks],
) -> tuple[dict, list[Example]]:
    queries, products = vectors.vectors(task.name)
    lexical = _lexical_rows(task, pairs, catalog)
    baselines = _baselines(task, pairs, catalog, lexical)
    chosen = {name: baselines[name] for name in config.baselines if name in baselines}
    strata = load_strata(catalog.data, task, pairs)
    result = measure_task(
        queries,
        products,
        pairs.judgements,
        config,
        chosen,
        lexical,
        pairs.popularity,
        strata,
        load_grades(catalog.data, task, pairs),
        named,
        vectors.folder / _STATE / f"{task.name}.npz",
    )
    write_ranks(vectors.folder / task.name, result.ranks)
    write_strata(vectors.folder / task.name, strata)
    asked = catalog.data.queries(task.query_type)
    examples = choose_examples(
        queries,
        products,
        pairs.judgements,
        result.ranks[MODEL],
        _Rows(asked.ids if asked.texts is None else asked.texts, pairs.query_rows),
        catalog.entity.texts,
        _EXAMPLES,
        config.seed,
    )
    return result.metrics, examples


def _lexical_rows(task: TaskConfig, pairs: TaskPairs, catalog: _Catalog) -> LexicalRows | None:
    if task.query_type != "query":
        return None
    texts = catalog.data.queries("query").texts
    return None if texts is None else lambda: catalog.bm25.rows(texts.gather(pairs.query_rows))


def _baselines(
    task: TaskConfig, pairs: TaskPairs, catalog: _Catalog, lexical: LexicalRows | None
) -> dict[str, Callable[[Judgements], PairRanks]]:
    """The baselines that make sense for the queries of this task."""
    baselines = {
        "random": rank_randomly,
        "popularity": lambda judgements: rank_static(pairs.popularity, judgements),
    }
    if lexical is not None:
        baselines["bm25"] = lambda judgements: rank_rows(lexical(), judgements, "Ranking by BM25")
    if task.query_type != "query" and task.entity_type == "product" and _share_a_space(task, catalog.data):
        queries = normalised(catalog.data.queries(task.query_type).embeddings[pairs.query_rows])
        baselines["sum"] = lambda judgements: rank_dense(
            queries, catalog.image_sums, judgements, "Ranking by the sum of images"
        )
    return baselines


def _share_a_space(task: TaskConfig, data: PreparedData) -> bool:
    """Whether pin or product queries have embeddings as long as those of the products' images."""
    embeddings = data.queries(task.query_type).embeddings
    if embeddings is None or "image_embeddings" not in data.entity("product").embedding_columns:
        return False
    return embeddings.shape[1] == data.images().values.shape[1]


class _Rows:
    """Some rows of a string store, renumbered from 0."""

    def __init__(self, strings, rows: np.ndarray):
        self._strings, self._rows = strings, rows

    def gather(self, rows: np.ndarray) -> list[str]:
        return self._strings.gather(self._rows[rows])
