import ibis
import numpy as np

from tfsage.graph.board_graph import BoardGraph, write_graph


def test_a_graph_out_of_tables_is_that_of_its_edges(tmp_path):
    things = ibis.memtable(
        {"node": [0, 1, 2, 3], "kind": ["product", "product", "pin", "pin"], "id": ["a", "b", "a", "c"]}
    )
    saves = [
        ("x", "a", "product"),
        ("x", "a", "product"),  # twice is once
        ("x", "c", "pin"),
        ("y", "a", None),  # both things with this id
        ("y", "nobody", "pin"),
        ("z", "b", "pin"),  # there is no such pin
    ]
    columns = dict(zip(("board_id", "entity_id", "entity_type"), map(list, zip(*saves, strict=True)), strict=True))
    graph = write_graph(tmp_path, ibis.duckdb.connect(), things, ibis.memtable(columns))
    expected = BoardGraph.from_edges(np.array([0, 0, 2, 3]), np.array([0, 1, 1, 0]), nodes=4, boards=2)
    for found, wanted in zip(graph, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert expected.boards.tolist() == [0, 1, 1, 0] and expected.board_start.tolist() == [0, 2, 2, 3, 4]
    assert expected.nodes.tolist() == [0, 3, 0, 2] and expected.node_start.tolist() == [0, 2, 4]


def test_a_graph_without_edges(tmp_path):
    things = ibis.memtable({"node": [0, 1], "kind": ["product", "pin"], "id": ["a", "c"]})
    saves = ibis.memtable({"board_id": ["x"], "entity_id": ["nobody"], "entity_type": ["pin"]})
    graph = write_graph(tmp_path, ibis.duckdb.connect(), things, saves)
    assert graph.node_count == 2 and len(graph.boards) == 0
