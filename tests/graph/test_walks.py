import numpy as np
import pytest

from tfsage.graph.board_graph import BoardGraph
from tfsage.graph.walks import Walks, most_visited, visits

NODES, BOARDS = 12, 6


@pytest.fixture(scope="module")
def edges():
    """Boards of different sizes; node 11 is on none, node 10 on a board of its own."""
    rng = np.random.default_rng(3)
    on = rng.random((10, BOARDS - 1)) < [0.2, 0.4, 0.6, 0.3, 0.5]
    on[np.arange(10), np.arange(10) % (BOARDS - 1)] = True
    node, board = np.nonzero(on)
    return np.append(node, 10), np.append(board, BOARDS - 1)


@pytest.fixture(scope="module")
def graph(edges):
    return BoardGraph.from_edges(*edges, NODES, BOARDS)


@pytest.fixture(scope="module")
def transition(edges):
    """T of the docstring: to a board of the node, to a node of the board, each uniformly."""
    on = np.zeros((NODES, BOARDS))
    on[edges] = 1
    return (on / np.maximum(on.sum(1, keepdims=True), 1)) @ (on / on.sum(0, keepdims=True)).T


def expected_visits(transition, start, walks):
    home = np.eye(NODES)[start]
    here, total = home, np.zeros(NODES)
    for _ in range(walks.steps):
        here = ((1 - walks.restart) * here + walks.restart * home) @ transition
        total += here
    return walks.walkers * total


def counts(graph, starts, walks):
    found, table = visits(graph, np.asarray(starts), walks), np.zeros((len(starts), NODES))
    table[found.start, found.node] = found.count
    return table


@pytest.mark.parametrize("restart", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("start", [0, 4, 9])
def test_counts_are_those_of_the_exact_probabilities(graph, transition, start, restart):
    walks = Walks(walkers=20_000, steps=6, restart=restart, seed=5)
    exact, found = expected_visits(transition, start, walks), counts(graph, [start], walks)[0]
    # The visits of one walker to a node are at most `steps`, so this is five standard deviations or more.
    allowed = 5 * np.sqrt(walks.steps * np.maximum(exact, 1))
    assert (np.abs(found - exact) < allowed).all()
    assert found.sum() == walks.walkers * walks.steps
    # Control: another chance to restart is told apart.
    other = expected_visits(transition, start, walks._replace(restart=(restart + 0.6) % 1.2))
    assert (np.abs(found - other) >= allowed).any()


def test_long_walks_reach_the_stationary_distribution(graph, transition):
    """p = restart e (I − (1 − restart) T)⁻¹ T solves p = ((1 − restart) p + restart e) T."""
    walks = Walks(walkers=200, steps=500, restart=0.3)
    home = np.eye(NODES)[2]
    exact = walks.restart * home @ np.linalg.inv(np.eye(NODES) - (1 - walks.restart) * transition) @ transition
    np.testing.assert_allclose(counts(graph, [2], walks)[0] / (200 * 500), exact, atol=0.01)


def test_a_start_walks_alike_whatever_else_is_walked(graph):
    alone, beside = counts(graph, [4], Walks()), counts(graph, [0, 4, 9], Walks())
    np.testing.assert_array_equal(beside[1], alone[0])
    assert not np.array_equal(alone, counts(graph, [4], Walks(seed=2)))


def test_nothing_is_visited_from_a_node_without_boards(graph):
    np.testing.assert_array_equal(counts(graph, [11, 10], Walks()), [[0] * 12, [0] * 10 + [50 * 40, 0]])


def test_the_most_visited_come_first_and_blocks_do_not_matter(graph, monkeypatch):
    starts, walks = np.array([0, 11, 4, 10, 9]), Walks()
    table = counts(graph, starts, walks)
    for rows_at_once in (1, 1_000_000):
        monkeypatch.setattr("tfsage.graph.walks._VISITS_AT_ONCE", rows_at_once)
        blocks = list(most_visited(graph, starts, first=3, count=4, walks=walks))
        lengths = np.concatenate([lengths for lengths, _ in blocks])
        lists = np.split(np.concatenate([nodes for _, nodes in blocks]), np.cumsum(lengths)[:-1])
        for row, start in enumerate(starts):
            allowed = [node for node in range(3, NODES) if node != start and table[row, node]]
            best = sorted(allowed, key=lambda node: (-table[row, node], node))[:4]
            assert lists[row].tolist() == best
    assert lengths.tolist() == [4, 0, 4, 0, 4]
