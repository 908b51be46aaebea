"""What features may know: what happened strictly before the date of the split, or to training queries alone."""

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from tfsage.config import PrepareConfig
from tfsage.console import console
from tfsage.data.columns import texts
from tfsage.data.split import Split, part_of, settle_split
from tfsage.data.tables import Source
from tfsage.data.text_key import text_key
from tfsage.errors import TfsageError


class Past(NamedTuple):
    """What is known.

    Attributes:
        first: where the window of engagements begins; None where there is no date.
        end: nothing at or after this moment is known; None where the split knows no date.
        split: the rule of the split, whose training part is known where there is no date.
        prepare: the config of the split.
        keys: query_id and query_key of all text queries, for a split by query.
    """

    first: dt.datetime | None
    end: dt.datetime | None
    split: Split | None
    prepare: PrepareConfig
    keys: ibis.Table | None

    def engagements(self, table: ibis.Table) -> ibis.Table:
        """The engagements of text queries that are known, within the window."""
        if self.end is not None:
            return table.filter(table.timestamp >= ibis.literal(self.first), table.timestamp < ibis.literal(self.end))
        if self.keys is not None:
            table = table.inner_join(self.keys, "query_id")
        return table.filter(part_of(table, self.split, self.prepare.split, self.prepare.seed) == "train")

    def boards(self, table: ibis.Table) -> ibis.Table:
        """The saves that are known, with entity_type, null where the table does not say."""
        if "entity_type" not in table.columns:
            table = table.mutate(entity_type=ibis.null("string"))
        if self.end is None:
            return table
        if "timestamp" in table.columns:
            return table.filter(table.timestamp < ibis.literal(self.end))
        console.print(
            f"boards has no column timestamp, so titles from after {self.end} cannot be told from earlier ones"
        )
        return table

    def describe(self) -> dict:
        """What enrichment.json says about it."""
        if self.end is None:
            return {"split": self.split.by}
        return {"before": str(self.end), "engagements_from": str(self.first)}


def settle_past(
    connection: ibis.BaseBackend,
    sources: dict[str, Source],
    prepare: PrepareConfig,
    before: dt.datetime | None,
    window_days: int,
    scratch: Path,
) -> Past:
    """Settles what is known: before a date, or by the split that `tfsage prepare` will find in the same tables.

    Raises:
        TfsageError: a date is given, but the engagements have no timestamps.
    """
    engagements = relation(sources["engagements"], connection)
    window = dt.timedelta(days=window_days)
    if before is not None:
        if "timestamp" not in engagements.columns:
            raise TfsageError(f"engagements have no timestamps, so nothing is known to be before {before}; add them")
        return Past(before - window, before, None, prepare, None)
    split = settle_split(engagements, prepare.split)
    if split.by == "time":
        end = split.boundaries["train_end"]
        return Past(end - window, end, split, prepare, None)
    keys = (
        _query_keys(sources["queries"], connection, scratch) if split.by == "query" and "queries" in sources else None
    )
    return Past(None, None, split, prepare, keys)


def relation(source: Source, connection: ibis.BaseBackend, *texts: str) -> ibis.Table:
    """The relation columns of a table and some of its text columns, file and row; ids are strings, dates timestamps."""
    table = connection.read_parquet([str(file) for file in source.files], filename=True, file_row_number=True)
    columns = {"file": table.filename, "row": table.file_row_number}
    for name in [*source.relation_columns, *texts]:
        kind = source.columns[name].kind
        columns[name] = table[name]
        if kind in ("id", "timestamp"):
            columns[name] = table[name].cast("string" if kind == "id" else "timestamp")
        elif kind == "text" and table[name].type().is_array():
            columns[name] = table[name].join(" ")
    if source.name == "queries" and "query_id" not in columns:
        columns["query_id"] = columns["text"]
    if source.name == "engagements" and "count" not in columns:
        columns["count"] = ibis.literal(1)
    return table.select(**columns)


def _query_keys(source: Source, connection: ibis.BaseBackend, scratch: Path) -> ibis.Table:
    path = scratch / "query_keys.parquet"
    schema = pa.schema({"query_id": pa.string(), "query_key": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        for batch in source.batches([source.key, "text"] if source.key != "text" else ["text"]):
            ids = batch.rows[source.key].cast(pa.string())
            keys = [text_key(text or "") for text in texts(batch.rows["text"]).to_pylist()]
            writer.write_batch(pa.record_batch([ids, keys], schema=schema))
    return connection.read_parquet(path)
