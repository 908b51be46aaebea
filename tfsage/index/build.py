"""Builds an index aside, tunes it against exact search, and puts it in place whole."""

import importlib.metadata
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

import tfsage
from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.fresh_process import run_module
from tfsage.index.base import Kind, check_queries, check_vectors
from tfsage.index.scann_index import scann_problem
from tfsage.index.spec import IndexSpec, choose_spec
from tfsage.index.storage import IndexReport, open_verified, save_id_map, save_report, searcher_folder, vectors_file
from tfsage.index.tuning import RecallMeter, tune

RECALL_DEPTH = 10


def build_index(
    vectors: np.ndarray,
    folder: str | Path,
    recall_target: float,
    tuning_queries: dict[str, np.ndarray],
    measuring_queries: dict[str, np.ndarray] | None = None,
    *,
    space_id: str = "",
    id_map: pa.Table | None = None,
    kind: Kind | None = None,
) -> IndexReport:
    """Builds, tunes and stores an index; the folder is replaced only when the new one is complete.

    The report says whether `recall` reaches the target; a caller that publishes must look.

    Args:
        vectors: float32 [n, dimension], unit; may be memory-mapped. Building with ScaNN takes about 3.2 kB of memory
            a vector at 256 dimensions.
        folder: where the index goes.
        recall_target: recall@10 that every kind of query shall reach.
        tuning_queries: for each kind of query (query, pin, ...), floating [q, dimension], q >= 1: real ones that were
            held out from training.
        measuring_queries: others of the same kinds, which the reported recall is measured with: with those that
            tuned it, it would look a little better than it is. The same by default.
        space_id: names the space of the vectors.
        id_map: a table of n rows that says what each vector stands for.
        kind: builds this kind of index; by default the size decides, and numpy where ScaNN cannot be imported.

    Raises:
        TfsageError: bad vectors, queries or id map, or the building process died.
    """
    check_vectors(vectors, "index vectors")
    count, dimension = vectors.shape
    tuning, measuring = (
        {name: check_queries(matrix, dimension) for name, matrix in queries.items() if len(matrix)}
        for queries in (tuning_queries, tuning_queries if measuring_queries is None else measuring_queries)
    )
    if not tuning or tuning.keys() != measuring.keys():
        raise TfsageError(
            "the index cannot be tuned and measured without queries (both times of the same kinds); give held-out "
            "ones, or perturbed vectors"
        )
    if id_map is not None and len(id_map) != count:
        raise TfsageError(f"the id map has {len(id_map)} rows where there are {count} vectors")
    spec = choose_spec(count, recall_target, kind)
    if spec.kind != "numpy" and (problem := scann_problem()):
        console.print(f"ScaNN cannot be imported ({problem}): building an exact numpy index instead")
        spec = IndexSpec(kind="numpy")

    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _write_searcher(vectors, spec, aside)
    if id_map is not None:
        save_id_map(id_map, aside)

    report = IndexReport(
        space_id=space_id,
        count=count,
        dimension=dimension,
        spec=spec,
        k=RECALL_DEPTH,
        recall_target=recall_target,
        recall=0.0,
        recalls={},
        queries={name: len(matrix) for name, matrix in measuring.items()},
        effort=spec.start_effort,
        curve=[],
        versions=_versions(),
    )
    index = open_verified(aside, report)
    taken, curve = tune(index, spec, RecallMeter(vectors, tuning, RECALL_DEPTH), recall_target)
    held_back = RecallMeter(vectors, measuring, RECALL_DEPTH).measure(index, taken.effort)
    measured = {"recall": held_back.recall, "recalls": held_back.recalls, "effort": taken.effort, "curve": curve}
    report = save_report(report.model_copy(update=measured), aside)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return report


def _write_searcher(vectors: np.ndarray, spec: IndexSpec, folder: Path) -> None:
    matrix = vectors_file(folder)
    np.save(matrix, vectors)
    if spec.kind == "numpy":
        return
    searcher_folder(folder).mkdir()
    purpose = f"building a {spec.kind} index of {len(vectors)} vectors"
    arguments = (str(matrix), spec.model_dump_json(), str(searcher_folder(folder)))
    run_module("tfsage.index.worker", *arguments, purpose=purpose)
    matrix.unlink()


def _versions() -> dict[str, str]:
    versions = {"tfsage": tfsage.__version__, "numpy": np.__version__}
    if scann_problem() is None:
        versions["scann"] = importlib.metadata.version("scann")
    return versions
