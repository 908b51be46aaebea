"""Captions: what the pictures of products and pins show, in words (OmniSearchSage §3.2.1)."""

from typing import Protocol

import pyarrow as pa

from tfsage.data.columns import plain
from tfsage.data.schema import ALL_TEXT_FIELDS
from tfsage.errors import TfsageError


class Captioner(Protocol):
    """Where captions come from.

    Attributes:
        name: noted in enrichment.json.
        leave_out: a column that only the captioner reads, and that `tfsage prepare` would not know; or None.
    """

    name: str
    leave_out: str | None

    def __call__(self, rows: pa.RecordBatch) -> pa.Array:
        """The captions of some rows of a table: list<string> [rows], empty where there is no picture to caption."""


class ColumnCaptions:
    """Captions out of a column that the tables have already, string or list of string; blank ones are left out.

    Args:
        column: its name.
    """

    def __init__(self, column: str):
        self.column, self.name = column, f"column {column}"
        self.leave_out = None if column in ALL_TEXT_FIELDS else column

    def __call__(self, rows: pa.RecordBatch) -> pa.Array:
        found = plain(require(rows, self.column))
        values = found.to_pylist()
        lists = [value if isinstance(value, list) else [value] for value in values]
        said = [[text.strip() for text in several or () if text and text.strip()] for several in lists]
        return pa.array(said, pa.list_(pa.string()))


def require(rows: pa.RecordBatch, column: str) -> pa.Array:
    """A column of a table.

    Raises:
        TfsageError: there is none of that name.
    """
    if column not in rows.schema.names:
        raise TfsageError(f"captions: a table has no column {column!r}; it has {', '.join(rows.schema.names)}")
    return rows[column]
