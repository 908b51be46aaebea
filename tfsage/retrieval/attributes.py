"""What products can be filtered by: the values of their columns, as rows of the catalog."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfsage.data.schema import ALL_TEXT_FIELDS
from tfsage.retrieval.problems import Problem

_PROSE = {"title", "description", "links", "board_titles", "engaged_queries", "captions"}
"""Text that is read, not chosen from."""


class Attributes:
    """Columns of a products table, ready to be filtered by.

    Text columns (string, list<string>) are matched by value, whatever the case; numbers by range.

    Args:
        table: aligned with the rows of the index.
    """

    def __init__(self, table: pa.Table):
        self._count = len(table)
        self._values: dict[str, _Values] = {}
        self._numbers: dict[str, np.ndarray] = {}
        for name in table.column_names:
            column = table[name].combine_chunks()
            if name == "product_id" or name in _PROSE:
                continue
            if _is_text(column.type) or (pa.types.is_list(column.type) and _is_text(column.type.value_type)):
                self._values[name] = _Values(column)
            elif name not in ALL_TEXT_FIELDS and (
                pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
            ):
                self._numbers[name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)

    @property
    def fields(self) -> dict[str, list[str] | None]:
        """Name -> its most frequent values, or None for a number."""
        return {name: values.frequent() for name, values in self._values.items()} | dict.fromkeys(self._numbers)

    def allowed(self, filters: Mapping[str, "list[str] | tuple[float, float]"]) -> np.ndarray:
        """Which products pass: bool [count].

        Args:
            filters: every field must pass: a text field has one of the values, a number is within (low, high).

        Raises:
            Problem: there is no such field, or it is not of that kind (400).
        """
        allowed = np.ones(self._count, bool)
        for name, wanted in filters.items():
            if isinstance(wanted, tuple):
                numbers = self._numbers.get(name)
                if numbers is None:
                    raise self._unknown(name, "a number", self._numbers)
                low, high = wanted
                # A missing number is NaN, which is within no range.
                allowed &= (numbers >= low) & (numbers <= high)
            else:
                values = self._values.get(name)
                if values is None:
                    raise self._unknown(name, "text", self._values)
                passes = np.zeros(self._count, bool)
                for value in wanted:
                    passes[values.rows(value)] = True
                allowed &= passes
        return allowed

    def _unknown(self, name: str, kind: str, known: Mapping) -> Problem:
        there = ", ".join(sorted(known)) or "none"
        return Problem(400, f"filters: products have no attribute {name!r} that is {kind}; there is {there}")


class _Values:
    """One text column: for each value, the rows that have it."""

    def __init__(self, column: pa.Array):
        rows = np.arange(len(column))
        if pa.types.is_list(column.type):
            rows = pc.list_parent_indices(column).to_numpy()
            column = column.flatten()
        filled = column.is_valid()
        rows = rows[filled.to_numpy(zero_copy_only=False)]
        column = column.filter(filled)
        encoded = pc.utf8_lower(pc.utf8_trim_whitespace(column)).dictionary_encode()
        codes = encoded.indices.to_numpy()
        self._code = {value: code for code, value in enumerate(encoded.dictionary.to_pylist()) if value}
        order = np.argsort(codes, kind="stable")
        self._rows = rows[order]
        self._starts = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))

    def rows(self, value: str) -> np.ndarray:
        code = self._code.get(value.strip().lower())
        return self._rows[:0] if code is None else self._rows[self._starts[code] : self._starts[code + 1]]

    def frequent(self, most: int = 50) -> list[str]:
        counts = np.diff(self._starts)
        return sorted(self._code, key=lambda value: (-counts[self._code[value]], value))[:most]


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
