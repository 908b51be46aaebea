"""Copies of a folder of tables in which products and pins have one more column of texts."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfsage.data.schema import TABLE_OF_TYPE
from tfsage.data.staging import staged_folder
from tfsage.data.tables import BATCH_ROWS
from tfsage.errors import TfsageError
from tfsage.files import write_text
from tfsage.parquet import open_parquet

MARKER = "enrichment.json"
"""What the jobs tell of their work, by column; it goes along from folder to folder."""
ENRICHED = {kind: TABLE_OF_TYPE[kind] for kind in ("product", "pin")}
_LISTS = pa.list_(pa.string())

Lists = Callable[[pa.RecordBatch], pa.Array]
"""The lists (list<string>) of the rows of a batch; called with the batches of a file, one after the other."""


class RowLists:
    """`Lists` out of texts with columns file, row, place and text; memory holds a batch of them.

    Args:
        connection: the Ibis backend.
        found: the texts.
        file: whose rows are asked for.
        scratch: where its texts are put in order.
    """

    def __init__(self, connection: ibis.BaseBackend, found: ibis.Table, file: Path, scratch: Path):
        ordered = scratch / "ordered.parquet"
        here = found.filter(found.file == str(file)).order_by("row", "place").select("row", "text")
        connection.to_parquet(here, ordered)
        self._pieces = open_parquet(ordered).iter_batches()
        self._rows, self._texts = np.zeros(0, np.int64), pa.array([], pa.string())
        self._first = 0

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        last = self._first + batch.num_rows
        while not len(self._rows) or self._rows[-1] < last:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rows = np.concatenate([self._rows, piece["row"].to_numpy()])
            self._texts = pa.concat_arrays([self._texts, piece["text"].cast(pa.string())])
        end = np.searchsorted(self._rows, last)
        lengths = np.bincount(self._rows[:end] - self._first, minlength=batch.num_rows)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        lists = pa.ListArray.from_arrays(offsets, self._texts[:end])
        self._rows, self._texts, self._first = self._rows[end:], self._texts[end:], last
        return lists


def write_enriched(
    tables: Path,
    out: Path,
    column: str,
    lists_of: Callable[[str, Path], Lists],
    about: dict,
    advance: Callable[[int], None],
    leave_out: str | None = None,
) -> dict[str, dict]:
    """Writes all tables again, products and pins with a column of lists that replaces one of that name.

    Args:
        tables: the folder to read.
        out: the folder to write; it appears when it is complete.
        column: name of the new column.
        lists_of: what fills it, for an entity type and one of its files.
        about: noted in enrichment.json under the column's name, with the coverage.
        advance: told of rows done.
        leave_out: a column that is not written.

    Returns:
        by table: `rows`, how many of them have a list that is not empty (`with`), and that as a share (`coverage`).
    """
    with staged_folder(out, MARKER) as staged:
        coverage = {}
        for kind, name in ENRICHED.items():
            rows = filled = 0
            for file in (files := files_of(tables, name)):
                target = staged / file.relative_to(tables)
                target.parent.mkdir(exist_ok=True)
                rows += open_parquet(file).metadata.num_rows
                filled += _write_column(file, target, column, lists_of(kind, file), advance, leave_out)
            if files:
                coverage[name] = {"rows": rows, "with": filled, "coverage": filled / max(rows, 1)}
        take_along(tables, staged)
        marker = tables / MARKER
        earlier = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else {}
        noted = {**earlier, column: {**about, "coverage": coverage}}
        write_text(staged / MARKER, json.dumps(noted, indent=2, ensure_ascii=False) + "\n")
    return coverage


def files_of(folder: Path, table: str) -> list[Path]:
    """FOLDER/<table>.parquet or FOLDER/<table>/*.parquet."""
    single = folder / f"{table}.parquet"
    return [single] if single.is_file() else sorted((folder / table).glob("*.parquet"))


def columns_of(file: Path) -> list[str]:
    """The names of a Parquet file's columns."""
    return open_parquet(file).schema_arrow.names


def count_rows(folder: Path) -> int:
    """Rows of products and pins together.

    Raises:
        TfsageError: there are none.
    """
    files = [file for name in ENRICHED.values() for file in files_of(folder, name)]
    if not files:
        raise TfsageError(f"{folder}: neither products.parquet nor pins.parquet is there; name a folder of tables")
    return sum(open_parquet(file).metadata.num_rows for file in files)


def _write_column(
    source: Path, target: Path, column: str, lists: Lists, advance: Callable[[int], None], leave_out: str | None
) -> int:
    """Returns how many rows have a list that is not empty."""
    opened = open_parquet(source)
    kept = [field for field in opened.schema_arrow if field.name not in (column, leave_out)]
    schema = pa.schema([*kept, pa.field(column, _LISTS)])
    filled = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in opened.iter_batches(BATCH_ROWS):
            texts = lists(batch).cast(_LISTS)
            writer.write_batch(pa.record_batch([*(batch[field.name] for field in kept), texts], schema=schema))
            filled += pc.sum(pc.greater(pc.list_value_length(texts), 0)).as_py() or 0
            advance(batch.num_rows)
    return filled


def take_along(tables: Path, staged: Path) -> None:
    """The files that are as they were: links to the same bytes, or copies where the disk has no links."""
    for file in sorted(path for path in tables.rglob("*") if path.is_file()):
        target = staged / file.relative_to(tables)
        if target.exists() or file.name == MARKER:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)
