"""`tfsage neighbours`: tables in, the same tables with the embeddings of each product's graph neighbours out."""

import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis import _

from tfsage.config import EnrichConfig, PrepareConfig
from tfsage.console import console, progress
from tfsage.data.catalog import embedding_column
from tfsage.data.columns import plain, read_vectors
from tfsage.data.engine import connect
from tfsage.data.enrichment.past import relation, settle_past
from tfsage.data.enrichment.tables import MARKER, take_along
from tfsage.data.staging import staged_folder
from tfsage.data.stores import ArrayWriter
from tfsage.data.tables import Source, find_tables
from tfsage.errors import TfsageError
from tfsage.files import write_text
from tfsage.graph.board_graph import BoardGraph, write_graph
from tfsage.graph.walks import Walks, most_visited

COLUMN = "neighbour_embeddings"

_MEMORY = "1GB"
_ROWS = 1024


def write_neighbours(
    tables: str | Path,
    out: str | Path,
    count: int = 50,
    walks: Walks | None = None,
    prepare: PrepareConfig | None = None,
    before: dt.datetime | None = None,
) -> dict:
    """Writes the tables again, products with `neighbour_embeddings`: the pins that random walks visit most (ItemSage
    §4.1.3).

    Walks start from a product and lead through the boards that it and other things were saved to. Memory holds a few
    numbers for each thing and each board, never the edges, the embeddings or the visits of more than a block.

    Args:
        tables: a folder of tables with `boards` and, with embeddings, `pins`.
        out: the folder to write.
        count: how many neighbours a product keeps.
        walks: how to walk; None for the defaults.
        prepare: the split, when `before` does not say which boards are known.
        before: only saves strictly before this moment count.

    Returns:
        "products", how many of them have a neighbour ("with"), and "edges" of the graph.

    Raises:
        TfsageError: the tables cannot be used.
    """
    tables, out = Path(tables).absolute(), Path(out).absolute()
    walks, prepare = walks or Walks(), prepare or PrepareConfig()
    sources = find_tables(tables, [], more_texts=None)
    column = _check(tables, sources)
    with staged_folder(out, MARKER) as staged, tempfile.TemporaryDirectory(dir=staged) as scratch, progress() as bar:
        scratch = Path(scratch)
        connection = connect(scratch, _MEMORY)
        past = settle_past(connection, sources, prepare, before, EnrichConfig().window_days, scratch)
        graph = write_graph(
            scratch,
            connection,
            _things(sources, connection, scratch),
            past.boards(relation(sources["boards"], connection)).select("board_id", "entity_id", "entity_type"),
        )
        connection.disconnect()
        pins = _write_vectors(sources["pins"], column, scratch / "pins.npy")
        task = bar.add_task("Walking from products", total=sources["products"].row_count, note="")
        filled, first = 0, 0
        for file in sources["products"].files:
            target = staged / file.relative_to(tables)
            target.parent.mkdir(exist_ok=True)
            for rows, some in _write_products(file, target, first, graph, pins, sources, count, walks):
                first, filled = first + rows, filled + some
                bar.advance(task, rows)
        take_along(tables, staged)
        found = {"products": first, "with": filled, "edges": len(graph.nodes)}
        marker = tables / MARKER
        earlier = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else {}
        about = {**past.describe(), **walks._asdict(), "count": count, **found}
        write_text(staged / MARKER, json.dumps({**earlier, COLUMN: about}, indent=2, ensure_ascii=False) + "\n")
    console.print(f"products: {filled:,} of {first:,} have {COLUMN} ({filled / first:.1%})", highlight=False)
    return found


def _check(tables: Path, sources: dict[str, Source]) -> str:
    """The column of the pins that holds their embeddings."""
    for name in ("boards", "pins"):
        if name not in sources:
            raise TfsageError(f"{tables}: there is no table {name}; neighbours are pins on the boards of a product")
    column = embedding_column(dict.fromkeys(sources["pins"].columns, 0))
    if column is None:
        raise TfsageError(f"{tables}: the pins have no embedding; the neighbours of a product are embeddings of pins")
    return column


def _things(sources: dict[str, Source], connection: ibis.BaseBackend, scratch: Path) -> ibis.Table:
    """Nodes: products in the order of their table, then pins."""
    parts, first = [], 0
    for kind, name in (("product", "products"), ("pin", "pins")):
        source = sources[name]
        path = scratch / f"{name}_ids.parquet"
        with pq.ParquetWriter(path, schema := pa.schema({"node": pa.int64(), "id": pa.string()})) as writer:
            for batch in source.batches([source.key]):
                node = pa.array(np.arange(first, first + batch.rows.num_rows))
                writer.write_batch(pa.record_batch([node, batch.rows[source.key].cast(pa.string())], schema=schema))
                first += batch.rows.num_rows
        parts.append(connection.read_parquet(path).mutate(kind=ibis.literal(kind)))
    return ibis.union(*parts).filter(_.id.notnull())


def _write_vectors(source: Source, column: str, path: Path) -> np.ndarray:
    """One vector for each row of a table, the mean where there are several: memory-mapped float32 [rows, dimension]."""
    several = source.columns[column].kind == "vectors"
    dimension = _dimension(source, column, several)
    with ArrayWriter(path, np.float32, (dimension,)) as writer:
        for batch in source.batches([column]):
            found = read_vectors(plain(batch.rows.column(0)), several, dimension)
            if found.wrong_length.any() or found.not_finite.any():
                raise TfsageError(
                    f"pins.{column}: embeddings that are not all of one length, or not finite; run `tfsage prepare`, "
                    "which names them"
                )
            total = np.zeros((batch.rows.num_rows, dimension), np.float32)
            np.add.at(total, found.row, found.values)
            writer.append(total / np.maximum(found.lengths, 1)[:, None])
    return np.load(path, mmap_mode="r")


def _dimension(source: Source, column: str, several: bool) -> int:
    """Entries of the first vector of a table."""
    for batch in source.batches([column]):
        array = plain(batch.rows.column(0)).drop_null()
        lengths = pc.list_value_length(array.flatten().drop_null() if several else array)
        if len(lengths):
            return lengths[0].as_py()
    raise TfsageError(f"pins.{column}: no pin has an embedding, so no product has neighbours to read")


def _write_products(
    source: Path,
    target: Path,
    first: int,
    graph: BoardGraph,
    pins: np.ndarray,
    sources: dict[str, Source],
    count: int,
    walks: Walks,
) -> Iterator[tuple[int, int]]:
    """One file of products, its first row being node `first`; yields rows done, and how many have neighbours."""
    opened = pq.ParquetFile(source)
    products, dimension = sources["products"].row_count, pins.shape[1]
    kept = [field for field in opened.schema_arrow if field.name != COLUMN]
    schema = pa.schema([*kept, pa.field(COLUMN, pa.list_(pa.list_(pa.float32(), dimension)))])
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in opened.iter_batches(_ROWS):
            starts = np.arange(first, first + batch.num_rows)
            blocks = list(most_visited(graph, starts, products, count, walks))
            lengths = np.concatenate([lengths for lengths, _ in blocks])
            vectors = pins[np.concatenate([nodes for _, nodes in blocks]) - products]
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), dimension)
            offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
            column = pa.ListArray.from_arrays(offsets, flat)
            writer.write_batch(pa.record_batch([*(batch[field.name] for field in kept), column], schema=schema))
            first += batch.num_rows
            yield batch.num_rows, int((lengths > 0).sum())
