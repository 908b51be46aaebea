"""An index on disk: the searcher's files, the id map, and index.json, which describes them and proves them whole."""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from tfsage.errors import TfsageError
from tfsage.files import checksums, list_files, verify_checksums, write_text
from tfsage.index.base import Effort, Index
from tfsage.index.brute_force import BruteForceIndex
from tfsage.index.scann_index import ScannIndex, refuse_pickle
from tfsage.index.spec import IndexSpec
from tfsage.index.tuning import CurvePoint

REPORT = "index.json"
_SEARCHER = "searcher"
_ID_MAP = "id_map.arrow"
_REMEDY = "build the index anew: python -m export.index"


class IndexReport(BaseModel):
    """What was built and how well it recalls; stored as index.json.

    recall: recall@k at `effort`, measured with queries that did not tune it, the lowest over the kinds of query in
    `recalls`, whose numbers are in `queries`. curve: every setting, measured with the queries that tuned it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    space_id: str
    count: PositiveInt
    dimension: PositiveInt
    spec: IndexSpec
    k: PositiveInt
    recall_target: float
    recall: float
    recalls: dict[str, float]
    queries: dict[str, int]
    effort: Effort
    curve: list[CurvePoint]
    versions: dict[str, str]
    files: dict[str, str] = {}


def vectors_file(folder: Path) -> Path:
    """Where the matrix of a numpy index lies in its folder, and that of a ScaNN index while it is built."""
    return folder / "vectors.npy"


def save_id_map(id_map: pa.Table, folder: Path) -> None:
    """Writes the id map as an Arrow file, which is memory-mapped when it is read."""
    with pa.OSFile(str(folder / _ID_MAP), "wb") as sink, pa.ipc.new_file(sink, id_map.schema) as writer:
        writer.write_table(id_map.combine_chunks())


def searcher_folder(folder: Path) -> Path:
    """Where ScaNN's own files lie in an index folder."""
    return folder / _SEARCHER


def save_report(report: IndexReport, folder: Path) -> IndexReport:
    """Completes the report with the checksum of every file in the folder, and writes it."""
    files = {name: digest for name, digest in checksums(folder).items() if name != REPORT}
    report = report.model_copy(update={"files": files})
    write_text(folder / REPORT, report.model_dump_json(indent=2) + "\n")
    return report


def read_report(folder: Path) -> IndexReport:
    """Reads index.json.

    Raises:
        TfsageError: the folder is not an index, or another version of tfsage wrote it.
    """
    path = folder / REPORT
    try:
        return IndexReport.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise TfsageError(f"{folder}: not an index (no {REPORT}); {_REMEDY}") from None
    except ValidationError as error:
        raise TfsageError(
            f"{path}: not an index of this version of tfsage ({error.errors()[0]['msg']}); {_REMEDY}"
        ) from None


def load_index(folder: str | Path) -> Index:
    """Opens an index after checking that its files are the very ones that were written.

    Raises:
        TfsageError: not an index; a file is missing, changed or foreign; pickled ids are present; ScaNN is needed and
            cannot be imported.
    """
    folder = Path(folder)
    report = read_report(folder)
    refuse_pickle(searcher_folder(folder))
    if foreign := set(list_files(folder)) - {*report.files, REPORT}:
        raise TfsageError(f"{folder}: files that do not belong to the index: {sorted(foreign)}; {_REMEDY}")
    verify_checksums(folder, report.files, _REMEDY)
    return open_verified(folder, report)


def open_verified(folder: Path, report: IndexReport) -> Index:
    """Opens an index whose files were just written or verified."""
    id_map = None
    if (folder / _ID_MAP).exists():
        with pa.memory_map(str(folder / _ID_MAP)) as source:
            id_map = pa.ipc.open_file(source).read_all()
        if len(id_map) != report.count:
            raise TfsageError(f"{folder}: the id map has {len(id_map)} rows, the index {report.count}; {_REMEDY}")
    if report.spec.kind == "numpy":
        return BruteForceIndex(np.load(vectors_file(folder), mmap_mode="r"), id_map)
    searcher = searcher_folder(folder)
    return ScannIndex(searcher, report.spec.kind, report.count, report.dimension, report.effort, id_map)
