"""Whether a text column of products or pins knows what the evaluation asks."""

import json
from pathlib import Path

import ibis
from ibis import _

from tfsage.data.schema import TABLE_OF_TYPE
from tfsage.errors import TfsageError

_EXAMPLES = 5
_MEANING = {
    "leaks": "come from after the training part alone, which evaluation must not know; enrich with this config",
    "suspicious": "are a query that dev or test asks of the very same thing; check where they come from",
}


def read_audit(folder: str | Path) -> dict[str, dict]:
    """What `prepare` found, by table and column.

    Raises:
        TfsageError: the folder was not prepared.
    """
    path = Path(folder) / "report.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))["leakage"]
    except (OSError, ValueError, KeyError):
        raise TfsageError(f"{path}: no report of a prepared folder; make one with `tfsage prepare`") from None


def describe_leaks(audit: dict[str, dict]) -> list[str]:
    """What a person has to know of an audit, as lines; none when nothing is wrong.

    Args:
        audit: by table and column ("products.engaged_queries") what `LeakageAudit` counted.
    """
    lines = []
    for where, found in audit.items():
        for what in ("leaks", "suspicious"):
            if count := found.get(what):
                lines.append(
                    f"{where}: {count:,} of {found['entries']:,} entries {_MEANING[what]}; "
                    f"for example {', '.join(found['examples'])}"
                )
    return lines


class LeakageAudit:
    """Looks for entries of enriched columns that only somebody who saw the future, or the test queries, could have.

    An engaged query is explained by an engagement of the entity with a query of that text in the training part. One
    that is not, but that the gap, dev or test explains, is a leak; one that nothing explains is of unknown origin:
    older than the log, or somebody else's. A board title is likewise explained by a save before the training part ends.
    A caption that is, word for word, a query that evaluation asks of the very entity is suspicious.

    Args:
        connection: the Ibis backend.
        folder: the prepared folder, with its tables and pairs.
        rows: entity_type, entity, query_type, query (rows) and part of every engagement, the gap included.
    """

    def __init__(self, connection: ibis.BaseBackend, folder: Path, rows: ibis.Table):
        self._connection, self._folder, self._rows = connection, folder, rows

    def engaged_queries(self, kind: str) -> dict:
        """Entries of `engaged_queries` of products or pins: how many, leaks among them with examples, unknown ones."""
        asked = self._rows.filter(_.query_type == "query", _.entity_type == kind)
        seen = asked.inner_join(self._texts(), "query").select("entity", "text", known=_.part == "train")
        return self._explain(kind, "engaged_queries", seen)

    def board_titles(self, kind: str, saves: ibis.Table) -> dict:
        """The same of `board_titles`.

        Args:
            kind: product or pin.
            saves: entity (row), title and known (whether the save is before the training part ends).
        """
        seen = saves.select("entity", text=_plain(saves.title), known=_.known)
        return self._explain(kind, "board_titles", seen)

    def captions(self, kind: str) -> dict:
        """How many captions are, but for case, a query that a dev or test pair of the entity asks."""
        parts = [self._connection.read_parquet(self._folder / f"pairs_{part}.parquet") for part in ("dev", "test")]
        pairs = ibis.union(*parts).filter(_.query_type == "query", _.entity_type == kind).select("query", "entity")
        asked = pairs.inner_join(self._texts(), "query").select("entity", "text").distinct()
        entries = self._entries(kind, "captions")
        same = entries.inner_join(asked, ["entity", "text"])
        return {"entries": _count(entries), "suspicious": _count(same), "examples": self._examples(kind, same)}

    def _explain(self, kind: str, column: str, seen: ibis.Table) -> dict:
        entries = self._entries(kind, column)
        best = seen.group_by("entity", "text").agg(known=_.known.any())
        judged = entries.left_join(best, ["entity", "text"]).select("entity", "text", "known")
        leaks = judged.filter(_.known.notnull() & ~_.known)
        return {
            "entries": _count(entries),
            "leaks": _count(leaks),
            "unknown": _count(judged.filter(_.known.isnull())),
            "examples": self._examples(kind, leaks),
        }

    def _entries(self, kind: str, column: str) -> ibis.Table:
        """entity (row) and text of every entry of a column, as it would be compared."""
        path = self._folder / f"{TABLE_OF_TYPE[kind]}.parquet"
        table = self._connection.read_parquet(path, file_row_number=True)
        texts = table[column] if table[column].type().is_array() else ibis.array([table[column]])
        found = table.select(entity=table.file_row_number, text=texts.unnest())
        return found.filter(_.text.notnull()).select("entity", text=_plain(_.text)).filter(_.text != "").distinct()

    def _texts(self) -> ibis.Table:
        table = self._connection.read_parquet(self._folder / "queries.parquet", file_row_number=True)
        text = table.text.join(" ") if table.text.type().is_array() else table.text
        return table.select(query=table.file_row_number, text=_plain(text))

    def _examples(self, kind: str, found: ibis.Table) -> list[str]:
        shown = found.order_by("entity", "text").limit(_EXAMPLES).to_pyarrow().to_pylist()
        return [f"{row['text']!r} ({TABLE_OF_TYPE[kind]} row {row['entity']:,})" for row in shown]


def _plain(text):
    return text.re_replace(r"\s+", " ").strip().lower()


def _count(table: ibis.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
