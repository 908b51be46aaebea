"""Reading Parquet files that are larger than memory."""

from pathlib import Path

import pyarrow.parquet as pq

_READ_BUFFER = 1 << 20


def open_parquet(path: str | Path) -> pq.ParquetFile:
    """A Parquet file whose `iter_batches` holds no more than it yields.

    By default Arrow keeps every column chunk that it has read until the file is closed.
    """
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BUFFER)
