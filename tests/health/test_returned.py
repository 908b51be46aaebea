import numpy as np

from tests.health.worlds import healthy_vectors, make_space
from tfsage.health.returned import known_item_recall, largest_share, nearest_ids, overlap, present


def test_the_nearest_of_blocks_are_those_of_the_whole():
    products, queries = healthy_vectors(), healthy_vectors(1)[:20]
    found = nearest_ids(queries, make_space().blocks(), 10)
    order = np.argsort(-(queries @ products.T), axis=1)[:, :10]
    assert found.tolist() == [[f"p{row}" for row in rows] for rows in order]


def test_rows_that_are_not_finite_are_never_near_and_few_products_give_short_lists():
    vectors = healthy_vectors()[:3]
    vectors[1] = np.nan
    found = nearest_ids(healthy_vectors()[:2], make_space(vectors).blocks(), 10)
    assert [sorted(each) for each in found.tolist()] == [["p0", "p2"]] * 2


def test_overlap_is_the_mean_share_in_common():
    assert overlap([["a", "b"], ["c", "d"]], [["b", "a"], ["d", "x"]], 2) == 0.75
    assert overlap([["a", "b"]], [["a", "x"]], 1) == 1.0
    assert overlap([["a", "b", "c"], []], [["a"], ["b"]], 3) == 1.0
    assert np.isnan(overlap([[]], [["a"]], 3))


def test_known_items_are_found_among_the_first():
    lists = [["a", "b", "c"], ["d", "e", "f"]]
    assert known_item_recall(lists, ["b", "f"], 2) == 0.5
    assert known_item_recall(lists, ["b", "f"], 3) == 1.0


def test_ids_that_are_there():
    assert present({"p3", "p1499", "x"}, make_space().blocks()) == {"p3", "p1499"}


def test_the_largest_share_of_lists():
    assert largest_share(np.array([["a", "b"], ["a", "c"], ["d", "a"], ["e", "f"]], object)) == 0.75
