"""The job: each baseline trained or loaded, and its ranks of the run's own pairs written down."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from tfsage.baselines.sentences import embed_texts, sentence_encoder
from tfsage.baselines.towers import TOWER_BASELINES, baseline_config
from tfsage.config import save_config
from tfsage.console import console
from tfsage.data.prepared import PreparedData
from tfsage.data.staging import staged_folder
from tfsage.errors import TfsageError
from tfsage.evaluation.baselines import product_texts
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.frozen import TASKS, FrozenVectors, write_products, write_ranks, write_task, write_tasks
from tfsage.evaluation.measure import MODEL
from tfsage.evaluation.named_ranks import FOLDER
from tfsage.fresh_process import run_module

BASELINES = (*TOWER_BASELINES, "tfrs")
SENTENCES = "sentences"


def write_baselines(
    run: str | Path, names: Sequence[str] = BASELINES, split: str = "test", sentence_model: str | Path | None = None
) -> list[Path]:
    """Makes the rankings that are not there yet, below RUN/baselines; `tfsage evaluate` shows them.

    Sum-MLP and MLP-Concat-MLP are trained as the run was, with the same tasks, batches, steps and seed; `tfrs`, the
    plain two towers of the tutorial, with as many pairs, one model for each type of query.

    Args:
        run: a run that has been evaluated on `split`.
        names: some of `BASELINES`.
        split: dev or test.
        sentence_model: folder of a sentence-transformers model, for one more baseline on text queries, `sentences`.

    Returns:
        the folders of the baselines.

    Raises:
        TfsageError: there is no such baseline, the run is not evaluated, or a training failed.
    """
    from tfsage.training.run import Run

    if unknown := sorted(set(names) - set(BASELINES)):
        raise TfsageError(f"baselines: no baseline named {unknown}; there are {', '.join(BASELINES)}")
    opened = Run.open(run)
    question = _Question(opened.folder, opened.config, opened.data, split)
    folders = []
    for name in [*names, *([SENTENCES] if sentence_model is not None else [])]:
        folder = opened.folder / FOLDER / name
        folders.append(folder)
        if (folder / "vectors" / split / TASKS).exists():
            console.print(f"{name}: is there")
            continue
        console.print(f"{name}: under way")
        if name in TOWER_BASELINES:
            folder.parent.mkdir(exist_ok=True)
            file = folder.with_suffix(".yaml")
            save_config(baseline_config(opened.config, name), file)
            words = (str(file), str(opened.data.folder), str(folder), split)
            run_module("tfsage.experiments.cell", *words, purpose=f"training {name}")
        else:
            vectors_of = question.by_two_towers if name == "tfrs" else question.by_sentences(sentence_model)
            folder.mkdir(parents=True, exist_ok=True)
            question.write(folder / "vectors" / split, vectors_of)
    return folders


class _Question:
    """What the run was asked, and what the simple baselines need to answer it."""

    def __init__(self, run: Path, config, data: PreparedData, split: str):
        self._asked, self._config, self._data = FrozenVectors(run / "vectors" / split), config, data
        named = {task.name: task for task in config.tasks}
        # Products only: neither the tutorial nor a sentence encoder knows other catalogs.
        self._tasks = [named[task] for task in self._asked.tasks if named[task].entity_type == "product"]

    def write(self, folder: Path, vectors_of) -> None:
        """Ranks by vectors, and writes the ranks where a run would have them.

        `vectors_of`: from a type of query and rows of it to query vectors and product vectors, or None.
        """
        with staged_folder(folder, marker=TASKS) as staged:
            found = {}
            ids = self._data.product_ids.gather(np.arange(self._data.product_count))
            for task in self._tasks:
                judgements, pairs = self._asked.judgements(task.name), self._asked.pair_ids(task.name)
                rows = self._query_rows(task, judgements, pairs["query_id"])
                vectors = vectors_of(task.query_type, rows)
                if vectors is None:
                    continue
                if not found:
                    write_products(staged, ids, judgements.distractors, judgements.remaining)
                write_task(
                    staged / task.name,
                    judgements,
                    np.arange(judgements.queries),
                    pairs["query_id"].to_pylist(),
                    pairs["product_id"].to_pylist(),
                )
                write_ranks(staged / task.name, {MODEL: rank_dense(*vectors, judgements)})
                found[task.name] = {"entity_type": "product"}
            write_tasks(staged, found)

    def by_two_towers(self, query_type: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Trains on all training pairs of this type of query, once."""
        from tfsage.baselines.two_tower import Rows, embed, train_two_tower

        queries, products = self._queries(query_type), Rows(*self._products)
        if query_type not in self._two_towers:
            asked = [self._training_pairs(task) for task in self._tasks if task.query_type == query_type]
            pairs = tuple(np.concatenate(part) for part in zip(*asked, strict=True))
            training = self._config.training
            steps = sum(phase.steps for phase in training.phases)
            model = train_two_tower(Rows(*queries), products, pairs, steps, training.batch_size, training.seed)
            self._two_towers[query_type] = model, embed(model.product_tower, products)
        model, vectors = self._two_towers[query_type]
        return embed(model.query_tower, Rows(*(part[rows] for part in queries))), vectors

    def by_sentences(self, folder: str | Path):
        """What a sentence encoder makes of text queries; None for any other type of query."""
        encoder = sentence_encoder(folder)
        products = []

        def vectors_of(query_type: str, rows: np.ndarray):
            texts = self._data.queries(query_type).texts if query_type == "query" else None
            if texts is None:
                return None
            if not products:
                fields = self._data.text_fields
                products.append(embed_texts(encoder, product_texts(self._data.folder / "products.parquet", fields)))
            return embed_texts(encoder, texts.gather(rows)), products[0]

        return vectors_of

    @cached_property
    def _two_towers(self) -> dict:
        return {}

    @cached_property
    def _products(self) -> tuple[np.ndarray, np.ndarray]:
        every = np.arange(self._data.product_count)
        return np.array(self._data.product_ids.gather(every), object), np.array(self._data.titles.gather(every), object)

    def _queries(self, query_type: str) -> tuple[np.ndarray, np.ndarray]:
        queries = self._data.queries(query_type)
        every = np.arange(queries.count)
        ids = np.array(queries.ids.gather(every), object)
        texts = np.array([""] * len(ids) if queries.texts is None else queries.texts.gather(every), object)
        return ids, texts

    def _training_pairs(self, task) -> tuple[np.ndarray, np.ndarray]:
        pairs = self._data.pairs("train", task.surface, task.query_type, task.actions)
        return pairs.query, pairs.product

    def _query_rows(self, task, judgements, query_ids) -> np.ndarray:
        """The row among all queries of its type of each query of the judgements, int64 [Q]."""
        ids, _ = self._queries(task.query_type)
        place = {name: row for row, name in enumerate(ids.tolist())}
        first = np.unique(judgements.query, return_index=True)[1]
        return np.array([place[str(query_ids[int(pair)].as_py())] for pair in first], np.int64)
