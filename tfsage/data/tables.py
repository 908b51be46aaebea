"""Tables on disk: found, opened, and read batch by batch or as Ibis expressions."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

from tfsage.console import console
from tfsage.data.expected_vectors import ExpectedVectors
from tfsage.data.schema import EXPECTED, REQUIRED_TABLES, TABLES, Column, accepts, is_vector, is_vectors
from tfsage.errors import TfsageError
from tfsage.parquet import open_parquet

BATCH_ROWS = 4096


class Batch(NamedTuple):
    """Some rows of a file: `rows` holds those from `first_row` on, in the file's order."""

    file: str
    first_row: int
    rows: pa.RecordBatch


class Source:
    """One table as it lies on disk; its files are read in the order of their names.

    Attributes:
        name: of the table.
        files: paths of the Parquet files.
        schema: Arrow schema, the same in all files.
        row_count: rows of all files.
        columns: what each column of the table holds, by name.
    """

    def __init__(
        self, name: str, files: list[Path], schema: pa.Schema, row_count: int, more_texts: Collection[str] | None
    ):
        self.name, self.files, self.schema, self.row_count = name, files, schema, row_count
        self.columns = {field.name: describe_column(name, field, more_texts) for field in schema}
        self._relation_files = [str(file) for file in files]

    @property
    def key(self) -> str | None:
        """The column whose values identify the rows; the text itself in a queries table without ids."""
        if self.name == "queries" and "query_id" not in self.columns:
            return "text"
        return TABLES[self.name].key

    @property
    def relation_columns(self) -> list[str]:
        kinds = ("id", "category", "count", "grade", "timestamp")
        return [name for name, column in self.columns.items() if column.kind in kinds or name == self.key]

    def batches(self, columns: list[str] | None = None) -> Iterator[Batch]:
        """The rows, at most `BATCH_ROWS` at once.

        Raises:
            TfsageError: a file is damaged.
        """
        for file in self.files:
            row = 0
            try:
                for rows in open_parquet(file).iter_batches(BATCH_ROWS, columns=columns):
                    yield Batch(str(file), row, rows)
                    row += rows.num_rows
            except (pa.ArrowException, OSError) as error:
                raise TfsageError(f"{file}: damaged after row {row:,} ({error}); write the file again") from None

    def expression(self, connection: ibis.BaseBackend) -> ibis.Table:
        """The relation columns (ids, categories, counts, timestamps), with file and row; ids are strings here."""
        names = self.relation_columns
        table = connection.read_parquet(self._relation_files, filename=True, file_row_number=True)
        columns = {name: _[name].cast("string") if self.columns[name].kind == "id" else _[name] for name in names}
        return table.select(**columns, file=_.filename, row=_.file_row_number)

    def replace_relation_files(self, files: list[Path]) -> None:
        """Lets `expression` read stand-ins for the files, row for row."""
        self._relation_files = [str(file) for file in files]


def find_tables(
    folder: str | Path, expected: list[ExpectedVectors], more_texts: Collection[str] | None = ()
) -> dict[str, Source]:
    """Opens every table of a folder: FOLDER/<table>.parquet or FOLDER/<table>/*.parquet.

    Args:
        folder: the tables.
        expected: embedding columns that the config relies on, in the tables that are there.
        more_texts: text columns of products or pins that the schema does not know, and the config relies on. None lets
            every such column pass, for who only copies tables.

    Raises:
        TfsageError: names every table that is missing, empty or not Parquet, and every column that is unknown,
            missing or of a wrong type.
    """
    # A bad row is named by its file, so every reader of the file has to name it in the same way.
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise TfsageError(f"{folder}: no such folder; it should hold {', '.join(f'{name}.parquet' for name in TABLES)}")
    sources, problems = {}, []
    if strangers := sorted(file.name for file in folder.glob("*.parquet") if file.stem not in TABLES):
        console.print(f"Not read, since no table has that name: {', '.join(strangers)}", markup=False, soft_wrap=True)
    for name in TABLES:
        files = _files(folder, name)
        if not files:
            if name in REQUIRED_TABLES:
                problems.append(f"{folder}/{name}.parquet: the table is missing; it is required")
            continue
        source = _open(name, files, more_texts, problems)
        if source is not None:
            sources[name] = source
    for name, columns, _length, who, optional, instead in expected:
        known = {column for table in (name, *instead) if table in sources for column in sources[table].columns}
        if name in sources and not optional and not known & set(columns):
            problems.append(
                f"{name}: no column {' or '.join(columns)}, which {who} needs; add it, or change the config"
            )
    for column in sorted(more_texts or ()):
        if not any(column in source.columns for source in sources.values()):
            problems.append(
                f"no table has the column {column!r}, which a tower's text_fields name; add it, or rename it"
            )
    if problems:
        raise TfsageError("The tables cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
    return sources


def describe_column(table: str, field: pa.Field, more_texts: Collection[str] | None) -> Column | None:
    """What a column holds: by the schema, by its type for further embeddings, as a text if it is one of `more_texts`.

    None where it is unknown.
    """
    known = TABLES[table].columns.get(field.name)
    # The name of a further column becomes the name of a folder.
    if known is not None or not TABLES[table].more_columns or not field.name.isidentifier():
        return known
    if is_vectors(field.type):
        return Column("vectors")
    if is_vector(field.type):
        return Column("vector")
    is_wanted = more_texts is None or field.name in more_texts
    return Column("text") if is_wanted and accepts("text", field.type) else None


def _files(folder: Path, name: str) -> list[Path]:
    single = folder / f"{name}.parquet"
    if single.is_file():
        return [single]
    return sorted(path for path in (folder / name).glob("*.parquet") if path.is_file())


def _open(name: str, files: list[Path], more_texts: Collection[str] | None, problems: list[str]) -> Source | None:
    found = len(problems)
    schema, row_count = None, 0
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                here, rows = opened.schema_arrow.remove_metadata(), opened.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            problems.append(f"{file}: not a Parquet file ({str(error).splitlines()[0]}); write it again")
            continue
        row_count += rows
        if schema is None:
            schema = here
            problems.extend(f"{file}: {problem}" for problem in _schema_problems(name, here, more_texts))
        elif here != schema:
            problems.append(f"{file}: its columns or types differ from those of {files[0].name}; write both alike")
    if schema is not None and row_count == 0:
        problems.append(f"{files[0]}: the table is empty")
    return Source(name, files, schema, row_count, more_texts) if len(problems) == found else None


def _schema_problems(name: str, schema: pa.Schema, more_texts: Collection[str] | None) -> Iterator[str]:
    known = TABLES[name].columns
    for column in schema.names:
        if schema.names.count(column) > 1:
            yield f"column {column!r} is there twice"
    for field in schema:
        column = describe_column(name, field, more_texts)
        if column is None:
            near = get_close_matches(field.name, known, 1, 0.0)[0]
            what = f"unknown column {field.name!r} ({field.type})"
            yield f"{what}; the nearest known one is {near!r}: rename or remove it"
        elif not accepts(column.kind, field.type):
            yield f"column {field.name!r} is {field.type}; it should be {EXPECTED[column.kind]}"
    for column, described in known.items():
        if described.required and column not in schema.names:
            yield f"column {column!r} is missing; it is required"
