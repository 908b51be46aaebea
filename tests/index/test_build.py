"""Recall of what was built, saved, moved and loaded, for every kind; and what is refused before ScaNN sees it."""

import sys

import numpy as np
import pyarrow as pa
import pytest

from tests.index.clusters import clustered, perturbed
from tfsage.errors import TfsageError
from tfsage.index import BruteForceIndex, build_index, load_index

KINDS = ("numpy", "scann_brute_force", "scann_hash", "scann_tree")
VECTORS = clustered(3000)
QUERIES = perturbed(VECTORS, 200)


@pytest.fixture(scope="module", params=KINDS)
def built(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "index"
    id_map = pa.table({"product_id": [f"p{row}" for row in range(len(VECTORS))]})
    report = build_index(VECTORS, folder, 0.95, {"query": QUERIES}, space_id="space", id_map=id_map, kind=request.param)
    return folder, report


def exact_recall(index, queries, k):
    """Recall against a full sort, which shares no code with the index package."""
    truth = np.argsort(-(queries.astype(np.float64) @ VECTORS.T.astype(np.float64)), axis=1)[:, :k]
    rows = index.search(queries, k).rows
    return np.mean(
        [len(set(found) & set(right)) / k for found, right in zip(rows.tolist(), truth.tolist(), strict=True)]
    )


def test_recall_holds_after_save_move_and_load(built, tmp_path):
    folder, report = built
    moved = tmp_path / "moved"
    folder.rename(moved)
    try:
        index = load_index(moved)
        recall = exact_recall(index, QUERIES, 10)
        assert recall >= 0.95
        assert recall == pytest.approx(report.recall, abs=1e-3)
        unseen = perturbed(VECTORS, 200, seed=7)
        assert exact_recall(index, unseen, 10) >= 0.9
    finally:
        moved.rename(folder)


def test_scores_are_dot_products_best_first(built):
    index = load_index(built[0])
    rows, scores = index.search(QUERIES, 10)
    assert rows.dtype == np.int64 and scores.dtype == np.float32
    exact = np.einsum("qd,qkd->qk", QUERIES, VECTORS[rows])
    np.testing.assert_allclose(scores, exact, atol=5e-3)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_report_describes_the_index(built):
    folder, report = built
    assert (report.count, report.dimension, report.space_id) == (3000, 32, "space")
    assert report.effort in [point.effort for point in report.curve]
    assert load_index(folder).id_map["product_id"][2999].as_py() == "p2999"
    assert not list(folder.parent.glob(".*partial"))


def test_more_hits_than_rows(built):
    index = load_index(built[0])
    rows, scores = index.search(QUERIES[:3], 3100)
    assert rows.shape == scores.shape == (3, 3100)
    assert not np.isnan(scores).any()
    for found, score in zip(rows, scores, strict=True):
        hits = found[found >= 0]
        assert len(hits) == len(set(hits)) <= 3000
        assert np.isneginf(score[found < 0]).all() and np.isfinite(score[found >= 0]).all()
    if index.kind != "scann_tree":
        assert ((rows >= 0).sum(axis=1) == 3000).all()


def test_no_queries(built):
    rows, scores = load_index(built[0]).search(np.empty((0, 32), np.float32), 5)
    assert rows.shape == scores.shape == (0, 5)


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (np.ones((2, 31), np.float32), 10, r"expected a matrix \[queries, 32\], got shape \[2, 31\]"),
        (np.ones(32, np.float32), 10, "expected a matrix"),
        (np.full((2, 32), np.nan, np.float32), 10, "2 hold NaN"),
        (np.ones((2, 32), np.int64), 10, "floating-point"),
        (np.ones((2, 32), np.float32), 0, "k must be at least 1"),
    ],
)
def test_bad_queries_are_refused(built, queries, k, message):
    with pytest.raises(TfsageError, match=message):
        load_index(built[0]).search(queries, k)


def bad(row=None, value=np.nan):
    vectors = clustered(100)
    vectors[row] = value
    return vectors


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (bad(17), "row 17 holds NaN"),
        (bad(3, np.inf), "row 3 holds NaN or infinite"),
        (bad(99, 0.5), "row 99 has length 2.828, not 1"),
        (bad(5, 0.0), "row 5 has length 0, not 1"),
        (clustered(100).astype(np.float64), "expected C-ordered float32, got float64"),
        (np.asfortranarray(clustered(100)), "expected C-ordered float32"),
        (np.empty((0, 32), np.float32), "there are none"),
        (np.ones(32, np.float32), "expected a matrix"),
    ],
)
def test_bad_vectors_are_refused_and_the_old_index_stays(vectors, message, tmp_path):
    folder = tmp_path / "index"
    build_index(clustered(100), folder, 0.9, {"query": clustered(5)}, kind="numpy")
    with pytest.raises(TfsageError, match=message):
        build_index(vectors, folder, 0.9, {"query": clustered(5)}, kind="scann_tree")
    assert load_index(folder).count == 100


def test_an_abort_of_the_building_process_is_contained(tmp_path, monkeypatch):
    """ScaNN ends its process on some inputs: the caller must live, say so, and keep the old index."""
    folder = tmp_path / "index"
    build_index(clustered(100), folder, 0.9, {"query": clustered(5)}, kind="numpy")
    aborting = tmp_path / "aborts.sh"
    aborting.write_text("#!/bin/sh\necho 'Check failed: cluster_idx' >&2\nkill -ABRT $$\n")
    aborting.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(aborting))
    with pytest.raises(TfsageError, match=r"(?s)building a scann_tree index.*signal 6.*Check failed: cluster_idx"):
        build_index(clustered(100), folder, 0.9, {"query": clustered(5)}, kind="scann_tree")
    assert load_index(folder).count == 100


def test_without_scann_the_index_is_exact_numpy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scann", None)
    report = build_index(VECTORS, tmp_path / "index", 0.95, {"query": QUERIES})
    assert report.spec.kind == "numpy" and report.recall == 1.0
    assert load_index(tmp_path / "index").search(VECTORS[:1], 1).rows.tolist() == [[0]]


def test_an_index_that_needs_scann_says_so_without_it(tmp_path, monkeypatch):
    build_index(VECTORS, tmp_path / "index", 0.95, {"query": QUERIES}, kind="scann_brute_force")
    monkeypatch.setitem(sys.modules, "scann", None)
    with pytest.raises(TfsageError, match="needs ScaNN, which cannot be imported"):
        load_index(tmp_path / "index")


def test_nothing_of_scann_reaches_the_screen(tmp_path, capfd):
    build_index(VECTORS, tmp_path / "index", 0.95, {"query": QUERIES}, kind="scann_tree")
    load_index(tmp_path / "index").search(QUERIES, 10)
    assert capfd.readouterr() == ("", "")


def test_every_kind_of_query_must_reach_the_target(tmp_path):
    """Queries far from the catalog need more leaves than near ones; the report's recall is that of the worse kind."""
    far = perturbed(VECTORS, 200, noise=1.0)
    report = build_index(VECTORS, tmp_path / "index", 0.95, {"near": QUERIES, "far": far}, kind="scann_tree")
    assert set(report.recalls) == {"near", "far"}
    assert report.recall == min(report.recalls.values()) >= 0.95


def test_recall_is_that_of_queries_which_did_not_tune(tmp_path):
    """Vectors near products are found in few leaves; random directions, far from all, need many."""
    hard = np.random.default_rng(5).normal(size=(100, 32)).astype(np.float32)
    hard /= np.linalg.norm(hard, axis=1, keepdims=True)
    report = build_index(VECTORS, tmp_path / "index", 0.95, {"query": QUERIES}, {"query": hard}, kind="scann_tree")
    assert report.recall == pytest.approx(exact_recall(load_index(tmp_path / "index"), hard, 10), abs=2e-3)
    assert report.recall < 0.9
    assert report.queries == {"query": 100}
    (used,) = [point for point in report.curve if point.effort == report.effort]
    assert used.assured >= 0.95


def test_kinds_that_only_tune_are_refused(tmp_path):
    with pytest.raises(TfsageError, match="both times of the same kinds"):
        build_index(VECTORS, tmp_path / "index", 0.95, {"query": QUERIES}, {"pin": QUERIES})


def test_tuning_needs_queries(tmp_path):
    with pytest.raises(TfsageError, match="cannot be tuned and measured without queries"):
        build_index(VECTORS, tmp_path / "index", 0.95, {"query": VECTORS[:0]})


def test_an_index_of_one_row(tmp_path):
    one = VECTORS[:1]
    report = build_index(one, tmp_path / "index", 0.95, {"query": QUERIES[:3]})
    assert report.recall == 1.0
    assert load_index(tmp_path / "index").search(one, 3).rows.tolist() == [[0, -1, -1]]


def test_equal_vectors_do_not_lower_recall():
    """Of several rows tied for the last place any is right."""
    from tfsage.index.base import Effort
    from tfsage.index.tuning import RecallMeter

    vectors = np.repeat(clustered(4), 25, axis=0)
    reversed_ties = BruteForceIndex(vectors)
    original = reversed_ties._search
    mirrored = BruteForceIndex(vectors[::-1].copy())
    reversed_ties._search = lambda q, k, effort: (99 - mirrored._search(q, k, effort)[0], original(q, k, effort)[1])
    assert RecallMeter(vectors, {"query": vectors[:7]}, 10).measure(reversed_ties, Effort()).recall == 1.0
