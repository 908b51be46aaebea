"""The bipartite graph of things and boards, as memory-mapped arrays."""

from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np
from ibis import _

from tfsage.data.stores import ArrayWriter
from tfsage.parquet import open_parquet

_ROWS_AT_ONCE = 1 << 18


class BoardGraph(NamedTuple):
    """Things (nodes 0 .. n-1) and boards in compressed sparse rows, both ways.

    Attributes:
        board_start: int64 [n + 1]; the boards of node i are `boards[board_start[i]:board_start[i + 1]]`.
        boards: int64 [edges].
        node_start: int64 [boards + 1]; the nodes of board b are `nodes[node_start[b]:node_start[b + 1]]`.
        nodes: int64 [edges].
    """

    board_start: np.ndarray
    boards: np.ndarray
    node_start: np.ndarray
    nodes: np.ndarray

    @property
    def node_count(self) -> int:
        return len(self.board_start) - 1

    @classmethod
    def from_edges(cls, node: np.ndarray, board: np.ndarray, nodes: int, boards: int) -> "BoardGraph":
        """A graph in memory, from distinct edges: int64 [edges] each."""
        by_node, by_board = np.lexsort([board, node]), np.lexsort([node, board])
        return cls(_starts(node, nodes), board[by_node], _starts(board, boards), node[by_board])


def write_graph(folder: Path, connection: ibis.BaseBackend, things: ibis.Table, saves: ibis.Table) -> BoardGraph:
    """Builds a graph in files: memory holds one number for each thing and each board, never the edges.

    Args:
        folder: to write into.
        connection: the Ibis backend.
        things: `node` (0 .. n-1), `kind` and `id` of every thing.
        saves: `board_id`, `entity_id` and `entity_type`; null where the table does not say what has the id.
    """
    of_kind = (_.entity_id == things.id) & (_.entity_type.isnull() | (_.entity_type == things.kind))
    edges = saves.inner_join(things, of_kind).select("board_id", "node").distinct()
    numbered = edges.select("node", board=ibis.dense_rank().over(order_by="board_id"))
    connection.to_parquet(numbered, folder / "edges.parquet")
    edges = connection.read_parquet(folder / "edges.parquet")
    nodes = int(things.count().to_pyarrow().as_py())
    boards = int(edges.board.max().to_pyarrow().as_py() or -1) + 1 if _rows(edges) else 0
    node_start, board_of = _write(folder, connection, edges, "node", "board", nodes)
    board_start, node_of = _write(folder, connection, edges, "board", "node", boards)
    return BoardGraph(node_start, board_of, board_start, node_of)


def _write(
    folder: Path, connection: ibis.BaseBackend, edges: ibis.Table, key: str, value: str, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    ordered = folder / f"by_{key}.parquet"
    connection.to_parquet(edges.order_by(key, value), ordered)
    lengths = np.zeros(rows, np.int64)
    with ArrayWriter(folder / f"by_{key}.npy", np.int64) as writer:
        for batch in open_parquet(ordered).iter_batches(_ROWS_AT_ONCE):
            np.add.at(lengths, batch[key].to_numpy(), 1)
            writer.append(batch[value].to_numpy())
    return np.concatenate([[0], np.cumsum(lengths)]), np.load(folder / f"by_{key}.npy", mmap_mode="r")


def _starts(keys: np.ndarray, rows: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=rows))])


def _rows(table: ibis.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
