"""The engine that runs the expressions over tables: DuckDB, within this process."""

from pathlib import Path

import ibis

_MEMORY = "2GB"


def connect(scratch: Path) -> ibis.BaseBackend:
    """An Ibis backend that spills what does not fit in memory to `scratch`."""
    return ibis.duckdb.connect(temp_directory=str(scratch), memory_limit=_MEMORY)
