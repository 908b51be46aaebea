"""Sets the bad rows of a table aside, with the reason, so that none is lost."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.data.bad_rows import NOT_UTF8, BadRows
from tfsage.data.columns import plain
from tfsage.data.schema import is_list
from tfsage.data.tables import Source


def write_quarantine(source: Source, bad: BadRows, out: Path) -> int:
    """Writes the bad rows with all their columns and a column `reason`.

    A text column with bytes that are not UTF-8 is written as binary, since no reader would take it otherwise.

    Returns:
        how many rows were written; without any, no file is made.
    """
    raw = bad.columns_with(source.name, NOT_UTF8)
    fields = [field.with_type(_binary(field.type)) if field.name in raw else field for field in source.schema]
    schema = pa.schema([*fields, pa.field("reason", pa.string())])
    writer, written = None, 0
    for rows in _bad_batches(source, bad):
        if writer is None:
            out.parent.mkdir(exist_ok=True)
            writer = pq.ParquetWriter(out, schema, compression="zstd")
        columns = [
            plain(column).cast(field.type) if field.name in raw else column
            for field, column in zip(schema, rows.columns, strict=True)
        ]
        writer.write_batch(pa.record_batch(columns, schema=schema))
        written += rows.num_rows
    if writer is not None:
        writer.close()
    return written


def _bad_batches(source: Source, bad: BadRows) -> Iterator[pa.RecordBatch]:
    file = None
    for batch in source.batches():
        if batch.file != file:
            file = batch.file
            rows, reasons = bad.rows_of(source.name, file)
        start, end = np.searchsorted(rows, [batch.first_row, batch.first_row + batch.rows.num_rows])
        if end > start:
            taken = batch.rows.take(pa.array(rows[start:end] - batch.first_row))
            yield taken.append_column("reason", pa.array(reasons[start:end], pa.string()))


def _binary(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.large_binary()) if is_list(kind) else pa.large_binary()
