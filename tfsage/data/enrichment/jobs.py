"""The jobs behind `tfsage enrich`: tables in, the same tables with one more column out."""

import datetime as dt
import tempfile
from pathlib import Path

import ibis
import pyarrow as pa
from ibis import _
from rich.progress import Progress

from tfsage.config import EnrichConfig, PrepareConfig
from tfsage.console import console, progress
from tfsage.data.engine import connect
from tfsage.data.enrichment.board_titles import top_board_titles
from tfsage.data.enrichment.captions import Captioner
from tfsage.data.enrichment.engaged_queries import query_scores, top_queries
from tfsage.data.enrichment.partials import Partials
from tfsage.data.enrichment.past import relation, settle_past
from tfsage.data.enrichment.tables import (
    ENRICHED,
    Lists,
    RowLists,
    columns_of,
    count_rows,
    files_of,
    write_enriched,
)
from tfsage.data.schema import TABLES
from tfsage.data.tables import find_tables
from tfsage.errors import TfsageError

_MEMORY = "1GB"


def enrich_boards(
    tables: str | Path,
    out: str | Path,
    config: EnrichConfig | None = None,
    prepare: PrepareConfig | None = None,
    before: dt.datetime | None = None,
) -> dict[str, dict]:
    """Writes the tables again with `board_titles`: the titles of the boards a product or pin was saved to.

    Args:
        tables: a folder of tables with `boards`.
        out: the folder to write.
        config: how many titles.
        prepare: the split, when `before` does not say which boards are known.
        before: only saves strictly before this moment count.

    Returns:
        coverage by table, as `write_enriched` does.

    Raises:
        TfsageError: the tables cannot be used.
    """
    config, prepare = config or EnrichConfig(), prepare or PrepareConfig()
    with _Job(tables, out, "board_titles") as job:
        if "boards" not in job.sources or "title" not in job.sources["boards"].columns:
            raise TfsageError(f"{tables}: there is no table boards with a column title; board titles come from it")
        past = settle_past(job.connection, job.sources, prepare, before, config.window_days, job.scratch)
        boards = past.boards(job.table("boards", "title"))
        lists = []
        for kind in job.kinds:
            here = boards.filter(_.entity_type.isnull() | (_.entity_type == kind))
            found = top_board_titles(here, config.board_titles)
            lists.append(found.mutate(entity_type=ibis.literal(kind)))
        return job.write(ibis.union(*lists) if len(lists) > 1 else lists[0], past.describe())


def enrich_queries(
    tables: str | Path,
    out: str | Path,
    config: EnrichConfig | None = None,
    prepare: PrepareConfig | None = None,
    before: dt.datetime | None = None,
    state: str | Path | None = None,
) -> dict[str, dict]:
    """Writes the tables again with `engaged_queries`: the queries that led to engagement with a product or pin.

    Args:
        tables: a folder of tables with `queries`.
        out: the folder to write.
        config: how many queries, the weights of the actions, the window.
        prepare: the split, when `before` does not say which engagements are known.
        before: only engagements strictly before this moment count.
        state: a folder of counts by period: only engagements that are not in it yet are read, and counted there too.

    Returns:
        coverage by table, as `write_enriched` does.

    Raises:
        TfsageError: the tables or the state cannot be used.
    """
    config, prepare = config or EnrichConfig(), prepare or PrepareConfig()
    with _Job(tables, out, "engaged_queries") as job:
        if "queries" not in job.sources:
            raise TfsageError(f"{tables}: there is no table queries; engaged queries are its texts")
        past = settle_past(job.connection, job.sources, prepare, before, config.window_days, job.scratch)
        engagements, queries = job.table("engagements"), job.table("queries", "text")
        if state is None:
            scores = query_scores(past.engagements(engagements), queries, config.action_weights)
        else:
            if past.first is None or past.end is None:
                raise TfsageError("--state counts by time; name a date with --before, or split by time in the config")
            partials = Partials(Path(state), config.kept_queries, config.action_weights)
            periods = list(partials.missing(past.first, past.end))
            task = job.progress.add_task("Counting periods", total=len(periods), note="")
            for first, end in periods:
                between = engagements.filter(_.timestamp >= ibis.literal(first), _.timestamp < ibis.literal(end))
                partials.add(query_scores(between, queries, config.action_weights), first, end)
                job.progress.advance(task)
            scores = partials.merged(job.connection, past.first)
        return job.write(top_queries(scores, config.engaged_queries), past.describe())


def enrich_captions(tables: str | Path, out: str | Path, captioner: Captioner) -> dict[str, dict]:
    """Writes the tables again with `captions`: what a captioner says of the pictures of products and pins.

    Args:
        tables: a folder of tables.
        out: the folder to write.
        captioner: where captions come from.

    Returns:
        coverage by table, as `write_enriched` does.

    Raises:
        TfsageError: the tables or the pictures cannot be used.
    """
    tables, column = Path(tables).absolute(), captioner.column
    total = count_rows(tables)
    having = [file for name in ENRICHED.values() for file in files_of(tables, name) if column in columns_of(file)]
    if not having:
        raise TfsageError(f"{tables}: neither products nor pins have a column {column!r} to make captions of")

    def captions_of(_: str, file: Path) -> Lists:
        if file in having:
            return lambda batch: captioner(batch[column])
        return lambda batch: pa.array([[]] * batch.num_rows, pa.list_(pa.string()))

    # What only the captioner reads would be refused by `prepare`.
    known = any(column in TABLES[name].columns for name in ENRICHED.values())
    with progress() as bar:
        task = bar.add_task("Captions", total=total, note="")
        about = {"from": captioner.name}
        coverage = write_enriched(
            tables,
            Path(out),
            "captions",
            captions_of,
            about,
            lambda rows: bar.advance(task, rows),
            None if known else column,
        )
    _tell("captions", coverage)
    return coverage


class _Job:
    """One job that reads relations: its tables, its engine, and a folder for what does not fit in memory."""

    def __init__(self, tables: str | Path, out: str | Path, column: str):
        self._tables, self._out, self._column = Path(tables).absolute(), Path(out).absolute(), column

    def __enter__(self) -> "_Job":
        self.sources = find_tables(self._tables, [], more_texts=None)
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = tempfile.TemporaryDirectory(prefix=".enrich-", dir=self._out.parent)
        self.scratch = Path(self._temporary.name)
        self.connection = connect(self.scratch, _MEMORY)
        self.progress: Progress = progress()
        self.progress.start()
        return self

    def __exit__(self, *_) -> None:
        self.progress.stop()
        self.connection.disconnect()
        self._temporary.cleanup()

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, name in ENRICHED.items() if name in self.sources]

    def table(self, name: str, *texts: str) -> ibis.Table:
        """The relation columns of a table, and texts of it."""
        return relation(self.sources[name], self.connection, *texts)

    def write(self, lists: ibis.Table, about: dict) -> dict[str, dict]:
        """Writes the texts of `lists`: entity_type, entity_id, text and place."""
        path = self.scratch / "lists.parquet"
        rows = [
            self.sources[ENRICHED[kind]]
            .expression(self.connection)
            .select("file", "row", entity_type=ibis.literal(kind), entity_id=_[self.sources[ENRICHED[kind]].key])
            for kind in self.kinds
        ]
        placed = lists.inner_join(ibis.union(*rows) if len(rows) > 1 else rows[0], ["entity_type", "entity_id"])
        self.connection.to_parquet(placed.select("file", "row", "place", "text"), path)
        found = self.connection.read_parquet(path)
        task = self.progress.add_task(f"Writing {self._column}", total=count_rows(self._tables), note="")
        coverage = write_enriched(
            self._tables,
            self._out,
            self._column,
            lambda _, file: RowLists(self.connection, found, file, self.scratch),
            about,
            lambda rows: self.progress.advance(task, rows),
        )
        _tell(self._column, coverage)
        return coverage


def _tell(column: str, coverage: dict[str, dict]) -> None:
    for table, counts in coverage.items():
        console.print(
            f"{table}: {counts['with']:,} of {counts['rows']:,} have {column} ({counts['coverage']:.1%})",
            highlight=False,
        )
