"""Reads a dataset's own files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from tfsage.errors import TfsageError


def read_tsv(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    """A tab-separated file with a header; quotation marks are letters like any other.

    Args:
        path: the file.
        types: the columns to read.

    Raises:
        TfsageError: the file is missing, lacks a column, or holds something of another type.
    """
    try:
        return csv.read_csv(
            path,
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=list(types), strings_can_be_null=False
            ),
        )
    except FileNotFoundError:
        raise TfsageError(f"{path}: no such file; --source should be the folder with the dataset's files") from None
    except (pa.ArrowException, KeyError) as error:
        raise TfsageError(f"{path}: not the dataset's file: {error}") from None


def read_parquet(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a Parquet file; raises `TfsageError` as `read_tsv` does."""
    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError:
        raise TfsageError(f"{path}: no such file; --source should be the folder with the dataset's files") from None
    except pa.ArrowException as error:
        raise TfsageError(f"{path}: not the dataset's file: {error}") from None


def write_engagements(
    folder: Path, surface: str, query_type: str, query: pa.Array, product: pa.Array, action: pa.Array, split: pa.Array
) -> None:
    """Writes the engagements table of one surface and one type of query, each engagement counted once."""
    pq.write_table(engagements(surface, query_type, query, product, action, split), folder / "engagements.parquet")


def engagements(
    surface: str, query_type: str, query: pa.Array, product: pa.Array, action: pa.Array, split: pa.Array
) -> pa.Table:
    """Rows of the engagements table, each engagement counted once."""
    count = len(query)
    return pa.table(
        {
            "surface": [surface] * count,
            "query_type": [query_type] * count,
            "query_id": query,
            "entity_type": ["product"] * count,
            "entity_id": product,
            "action": action,
            "count": pa.array([1] * count, pa.int64()),
            "split": split,
        }
    )


def write_exclusions(folder: Path, query_type: str, query: pa.Array, product: pa.Array) -> None:
    """Writes products that are neither relevant nor candidates for a query."""
    count = len(query)
    kinds = {"query_type": [query_type] * count, "entity_type": ["product"] * count}
    pq.write_table(pa.table({**kinds, "query_id": query, "entity_id": product}), folder / "exclusions.parquet")
