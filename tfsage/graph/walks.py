"""Random walks with restart, and what they visit most (PinSage §3.2: importance by visit counts)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfsage.data.permutation import mix64, uniform
from tfsage.graph.board_graph import BoardGraph

_VISITS_AT_ONCE = 2_000_000


class Walks(NamedTuple):
    """How to walk.

    Attributes:
        walkers: from each start.
        steps: of each walker; a step leads to a board of the node and on to a node of that board, both drawn uniformly.
        restart: chance, before each step, to be put back to the start.
        seed: of all draws. They depend on the start alone, not on what else is walked.
    """

    walkers: int = 50
    steps: int = 40
    restart: float = 0.3
    seed: int = 1


class Visits(NamedTuple):
    """How often nodes were visited from some starts, ordered by start and node.

    Attributes:
        start: int64 [n], positions in the starts that were asked for.
        node: int64 [n].
        count: int64 [n].
    """

    start: np.ndarray
    node: np.ndarray
    count: np.ndarray


def visits(graph: BoardGraph, starts: np.ndarray, walks: Walks) -> Visits:
    """Walks from some nodes; memory grows with starts × walkers × steps.

    With T[i, j] = Σ over boards b of i of 1 / boards(i) · 1 / nodes(b) for j in b, the expected count of j from s is
    walkers · Σ over t of p_t[j], where p_0 = e_s and p_t = ((1 − restart) p_(t−1) + restart e_s) T.

    Args:
        graph: the graph.
        starts: int64 [s], nodes; from one without boards there is nothing to visit.
        walks: how to walk.
    """
    connected = np.flatnonzero(graph.board_start[starts + 1] > graph.board_start[starts])
    home = np.repeat(starts[connected], walks.walkers)
    walker = np.tile(np.arange(walks.walkers), len(connected)).astype(np.uint64)
    key = mix64(mix64(home.astype(np.uint64) ^ mix64(np.uint64(walks.seed))) ^ walker)
    position, seen = home, []
    for step in range(walks.steps):
        back, at_board, at_node = (uniform(key + np.uint64(3 * step + draw)) for draw in range(3))
        position = np.where(back < walks.restart, home, position)
        board = _neighbour(graph.board_start, graph.boards, position, at_board)
        position = _neighbour(graph.node_start, graph.nodes, board, at_node)
        seen.append(position)
    pairs = np.repeat(connected, walks.walkers) * graph.node_count + np.array(seen, np.int64)
    distinct, count = np.unique(pairs, return_counts=True)
    start, node = np.divmod(distinct, graph.node_count)
    return Visits(start, node, count)


def most_visited(
    graph: BoardGraph, starts: np.ndarray, first: int, count: int, walks: Walks
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The nodes from `first` on that are visited most from each start, in blocks of bounded memory.

    Yields:
        for the starts in turn: lengths int64 [s], and the neighbours of all of them int64 [sum(lengths)], at most
        `count` each, the most visited first, equally visited ones by their number. A start is never its own neighbour.
    """
    block = max(1, _VISITS_AT_ONCE // (walks.walkers * walks.steps))
    for begin in range(0, len(starts), block):
        own = starts[begin : begin + block]
        found = visits(graph, own, walks)
        kept = (found.node >= first) & (found.node != own[found.start])
        start, node, times = (part[kept] for part in found)
        order = np.lexsort([node, -times, start])
        start, node = start[order], node[order]
        first_of_start = np.searchsorted(start, np.arange(len(own)))
        top = np.arange(len(start)) - first_of_start[start] < count
        yield np.bincount(start[top], minlength=len(own)), node[top]


def _neighbour(start: np.ndarray, values: np.ndarray, row: np.ndarray, at: np.ndarray) -> np.ndarray:
    """One of the values of each row, by a number in [0, 1)."""
    first = start[row]
    return np.asarray(values[first + (at * (start[row + 1] - first)).astype(np.int64)])
