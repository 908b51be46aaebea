"""Captions: what the pictures of products and pins show, in words (OmniSearchSage §3.2.1)."""

from typing import Protocol

import pyarrow as pa

from tfsage.data.columns import plain


class Captioner(Protocol):
    """Where captions come from.

    Attributes:
        name: noted in enrichment.json.
        column: the column of the tables that it reads.
    """

    name: str
    column: str

    def __call__(self, values: pa.Array) -> pa.Array:
        """The captions of the column's values, list<string> [rows]; empty where there is nothing to caption."""


class ColumnCaptions:
    """Captions out of a column that the tables have already, string or list of string; blank ones are left out.

    Args:
        column: its name.
    """

    def __init__(self, column: str):
        self.column, self.name = column, f"column {column}"

    def __call__(self, values: pa.Array) -> pa.Array:
        lists = [value if isinstance(value, list) else [value] for value in plain(values).to_pylist()]
        said = [[text.strip() for text in several or () if text and text.strip()] for several in lists]
        return pa.array(said, pa.list_(pa.string()))
