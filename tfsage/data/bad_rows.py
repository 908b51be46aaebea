"""The rows of the tables that cannot be used, and why; kept on disk, so that there may be any number of them."""

from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

_SCHEMA = pa.schema(
    {
        "table": pa.string(),
        "file": pa.string(),
        "row": pa.int64(),
        "column": pa.string(),
        "reason": pa.string(),
        "example": pa.string(),
    }
)
EXAMPLES = 5
NOT_UTF8 = "bytes that are not UTF-8"


class BadRows:
    """Collects bad rows. A row is named by its file and its place in the file, from 0.

    Args:
        connection: the Ibis backend that answers questions about them.
        folder: where they are kept.
    """

    def __init__(self, connection: ibis.BaseBackend, folder: Path):
        self._connection, self._folder = connection, folder
        folder.mkdir()
        self._pieces = 0
        pq.write_table(_SCHEMA.empty_table(), self._next_piece())

    def add(self, table: str, file: str, column: str, reason: str, rows: np.ndarray, examples: list[str]) -> None:
        """Notes rows (int64 [n]) of one file, and what to show of each."""
        same = [[value] * len(rows) for value in (table, file, column, reason)]
        columns = [*same[:2], pa.array(rows, pa.int64()), *same[2:], examples]
        pq.write_table(pa.table(columns, schema=_SCHEMA), self._next_piece())

    def add_expression(self, table: str, column: str, reason: str, rows: ibis.Table) -> None:
        """Notes the rows of an expression with columns file, row and example."""
        noted = rows.select(
            table=ibis.literal(table),
            file=_.file,
            row=_.row.cast("int64"),
            column=ibis.literal(column),
            reason=ibis.literal(reason),
            example=_.example.cast("string"),
        )
        self._connection.to_parquet(noted, self._next_piece())

    def good(self, table: str, expression: ibis.Table) -> ibis.Table:
        """The rows of an expression with columns file and row that nobody has complained about so far."""
        bad = self._all().filter(_.table == table).select("file", "row").distinct()
        return expression.anti_join(bad, ["file", "row"])

    def rows_of(self, table: str, file: str) -> tuple[np.ndarray, list[str]]:
        """The bad rows of a file, int64 rising, and for each the reasons, joined."""
        here = self._all().filter(_.table == table, _.file == file)
        why = (_.column + ibis.literal(": ") + _.reason).name("why")
        joined = here.select("row", why).distinct().group_by("row").agg(why=_.why.group_concat("; ", order_by=_.why))
        rows = joined.order_by("row").to_pyarrow()
        return rows["row"].to_numpy(), rows["why"].to_pylist()

    def columns_with(self, table: str, reason: str) -> set[str]:
        """The columns of a table in which some row is bad for that reason."""
        found = self._all().filter(_.table == table, _.reason == reason).select("column").distinct()
        return set(found.to_pyarrow()["column"].to_pylist())

    def problems(self) -> list[dict]:
        """One entry for each table, column and reason: its row count, and `EXAMPLES` examples at most."""
        by = ["table", "column", "reason"]
        numbered = self._all().mutate(
            place=ibis.row_number().over(group_by=by, order_by=["file", "row"]), rows=_.count().over(group_by=by)
        )
        shown = numbered.filter(_.place < EXAMPLES).order_by(*by, "place").to_pyarrow().to_pylist()
        problems: dict[tuple, dict] = {}
        for row in shown:
            key = tuple(row[name] for name in by)
            problem = problems.setdefault(key, {**dict(zip(by, key, strict=True)), "rows": row["rows"], "examples": []})
            problem["examples"].append(f"{row['example']} ({Path(row['file']).name} row {row['row']:,})")
        return list(problems.values())

    def describe(self) -> str:
        """The problems as lines that a person reads."""
        return "\n".join(
            f"  {problem['table']}, column {problem['column']}: {problem['rows']:,} "
            f"row{'s' if problem['rows'] > 1 else ''}: {problem['reason']}; "
            f"for example {', '.join(problem['examples'])}"
            for problem in self.problems()
        )

    def _all(self) -> ibis.Table:
        return self._connection.read_parquet([str(path) for path in sorted(self._folder.glob("*.parquet"))])

    def _next_piece(self) -> Path:
        self._pieces += 1
        return self._folder / f"{self._pieces:06}.parquet"
