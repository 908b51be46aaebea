"""Home against a worked example, the formulas in plain numpy, and draws that follow importance."""

import numpy as np
import pytest

from tfsage.retrieval.home import Cluster, find_clusters, interleave, sample_clusters

# Five points, worked out by hand: merging raises the sum of squares by 0.5 for {2, 3}, 2/3 for {2, 3, 4}, 2 for
# {0, 1}, and 128.43 for the rest. They were engaged with on days 0, 5, 30, 31 and 60; it is day 60.
POINTS = np.array([(0, 0), (0, 2), (10, 0), (10, 1), (11, 0.5)])
AGES = 60 - np.array([0, 5, 30, 31, 60])


def members(threshold: float) -> set[tuple[int, ...]]:
    return {tuple(cluster.members) for cluster in find_clusters(POINTS, AGES, threshold)}


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.49, {(0,), (1,), (2,), (3,), (4,)}),
        (0.51, {(0,), (1,), (2, 3), (4,)}),
        (0.66, {(0,), (1,), (2, 3), (4,)}),
        (0.67, {(0,), (1,), (2, 3, 4)}),
        (1.99, {(0,), (1,), (2, 3, 4)}),
        (2.01, {(0, 1), (2, 3, 4)}),
        (128.4, {(0, 1), (2, 3, 4)}),
        (128.5, {(0, 1, 2, 3, 4)}),
    ],
)
def test_clusters_are_merged_up_to_the_threshold(threshold, expected):
    assert members(threshold) == expected


def test_medoids_and_importance_of_the_worked_example():
    first, second = find_clusters(POINTS, AGES, 3.0, decay=0.01)
    assert (first.medoid, second.medoid) == (2, 0)
    np.testing.assert_allclose([first.importance, second.importance], [2.4890817883, 1.1257614465], rtol=1e-10)


def test_the_medoid_is_the_member_nearest_to_all_others():
    rng = np.random.default_rng(1)
    for _ in range(20):
        points = rng.normal(size=(12, 5))
        (cluster,) = find_clusters(points, np.zeros(12), 1e9)
        to_others = ((points[:, None] - points[None]) ** 2).sum(axis=(1, 2))
        assert cluster.medoid == to_others.argmin()
        assert cluster.importance == pytest.approx(12)


def test_one_engagement_is_one_cluster():
    (cluster,) = find_clusters(np.ones((1, 3)), np.array([69.3]))
    assert (list(cluster.members), cluster.medoid) == ([0], 0)
    assert cluster.importance == pytest.approx(0.5, abs=1e-3)


def test_clusters_are_sampled_in_proportion_to_importance_without_repeats():
    clusters = [Cluster(np.array([n]), n, weight) for n, weight in enumerate((6.0, 3.0, 1.0))]
    draws = [[c.medoid for c in sample_clusters(clusters, 1, seed)] for seed in range(3000)]
    shares = np.bincount(np.ravel(draws), minlength=3) / len(draws)
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.03)
    pairs = [tuple(c.medoid for c in sample_clusters(clusters, 2, seed)) for seed in range(3000)]
    assert set(pairs) == {(0, 1), (0, 2), (1, 2)}
    # P{0 and 1} = .6 * .3/.4 + .3 * .6/.7
    assert np.mean([pair == (0, 1) for pair in pairs]) == pytest.approx(0.6 * 0.75 + 0.3 * 6 / 7, abs=0.03)
    assert sample_clusters(clusters, 3, 0) == clusters
    again = [sample_clusters(clusters, 2, 7)[0].medoid for _ in range(2)]
    assert again[0] == again[1]


def test_vanished_importance_still_samples():
    clusters = [Cluster(np.array([n]), n, 0.0) for n in range(4)]
    drawn = {sample_clusters(clusters, 1, seed)[0].medoid for seed in range(100)}
    assert drawn == {0, 1, 2, 3}
    faint = [clusters[0], Cluster(np.array([1]), 1, 1e-300), clusters[2]]
    assert {sample_clusters(faint, 1, seed)[0].medoid for seed in range(20)} == {1}


def test_rankings_take_turns_and_no_product_comes_twice():
    rankings = [
        (np.array([5, 6, 7]), np.array([0.9, 0.8, 0.7])),
        (np.array([6, 5, 8]), np.array([0.6, 0.5, 0.4])),
        (np.array([], np.int64), np.array([])),
    ]
    merged = interleave(rankings, 10)
    assert [(hit.row, hit.ranking, hit.rank) for hit in merged] == [(5, 0, 1), (6, 1, 1), (7, 0, 3), (8, 1, 3)]
    assert [hit.score for hit in merged] == [0.9, 0.6, 0.7, 0.4]
    assert [hit.row for hit in interleave(rankings, 3)] == [5, 6, 7]
    assert interleave([], 3) == []
