"""The engine that runs the expressions over tables: DuckDB, within this process."""

from pathlib import Path

import ibis


def connect(scratch: Path, memory: str = "2GB") -> ibis.BaseBackend:
    """An Ibis backend that spills what does not fit in `memory` to `scratch`."""
    return ibis.duckdb.connect(temp_directory=str(scratch), memory_limit=memory)
