"""A probe from Parquet to JSON: embeddings of one file, labels of another, joined by id."""

import json
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa

from tfsage.errors import TfsageError
from tfsage.files import write_text
from tfsage.probe.cross_validation import cross_validate

_IDS = ("product_id", "query_id", "pin_id")
_EMBEDDING = "embedding"


def probe_files(
    embeddings: Path,
    labels: Path,
    label: str,
    out: Path,
    text: str | None = None,
    groups: str | None = None,
    folds: int = 5,
    seed: int = 1,
) -> dict:
    """Probes the embeddings of a Parquet file with the labels of another, and writes what `cross_validate` returns.

    Args:
        embeddings: a Parquet file or a folder of them, with an id column (product_id, query_id or pin_id) and
            `embedding`: a bundle's embeddings/, for example.
        labels: a Parquet file or a folder of them, with the same id column; rows without a label are passed over.
        label: its column to classify by.
        out: the JSON file to write.
        text: its text column for the FastText baseline.
        groups: its column that says which rows must not be in two folds.
        folds: number of folds.
        seed: of everything random.

    Raises:
        TfsageError: a file or a column is missing, ids repeat, embeddings have different lengths, or no id is in both.
    """
    connection = ibis.duckdb.connect()
    vectors, described = _read(connection, embeddings), _read(connection, labels)
    known = [name for name in _IDS if name in vectors.columns and name in described.columns]
    if not known:
        raise TfsageError(f"{embeddings} and {labels} share no id column (one of {', '.join(_IDS)})")
    wanted = {role: name for role, name in (("label", label), ("text", text), ("group", groups)) if name is not None}
    _require(vectors, embeddings, [_EMBEDDING])
    _require(described, labels, list(wanted.values()))
    key = known[0]
    for path, table in ((embeddings, vectors), (labels, described)):
        if table.count().to_pyarrow().as_py() != table[key].nunique().to_pyarrow().as_py():
            raise TfsageError(f"{path}: {key} is null or repeats; ids must be distinct")
    chosen = described.select(id=ibis._[key].cast("string"), **wanted).filter(ibis._.label.notnull())
    joined = vectors.select(id=ibis._[key].cast("string"), embedding=ibis._[_EMBEDDING]).inner_join(chosen, "id")
    table = joined.order_by("id").to_pyarrow()
    if not len(table):
        raise TfsageError(f"{embeddings} and {labels}: no {key} with a {label} is in both")
    columns = {role: table[role].cast(pa.string()).fill_null("").to_pylist() for role in wanted}
    result = cross_validate(
        {"embedding": _matrix(table[_EMBEDDING].combine_chunks(), embeddings)},
        columns["label"],
        columns.get("text"),
        columns.get("group"),
        folds,
        seed=seed,
    )
    result = {"label": label, **result}
    write_text(out, json.dumps(result, indent=1) + "\n")
    return result


def _read(connection: ibis.BaseBackend, path: Path) -> ibis.Table:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path] * path.exists()
    if not files:
        raise TfsageError(f"{path}: no such Parquet file, nor a folder of them")
    try:
        return connection.read_parquet(files)
    except Exception as error:
        raise TfsageError(f"{path}: not Parquet ({str(error).splitlines()[0]})") from None


def _require(table: ibis.Table, path: Path, columns: list[str]) -> None:
    for name in columns:
        if name not in table.columns:
            raise TfsageError(f"{path}: no column {name!r}; there are: {', '.join(table.columns)}")


def _matrix(column: pa.Array, path: Path) -> np.ndarray:
    sizes = np.unique(np.diff(column.offsets.to_numpy())) if not _is_fixed(column) else [column.type.list_size]
    if len(sizes) > 1 or column.null_count:
        raise TfsageError(f"{path}: {_EMBEDDING} is null or of different lengths; embed the catalog again")
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1).astype(np.float32)


def _is_fixed(column: pa.Array) -> bool:
    return pa.types.is_fixed_size_list(column.type)
