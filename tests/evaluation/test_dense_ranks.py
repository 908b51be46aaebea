import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.worlds import as_counts, make_judgements, make_vectors, ranks_by_loops, relabelled, unit
from tfsage.evaluation import dense_ranks, rank_state
from tfsage.evaluation.dense_ranks import UNIT_TOLERANCE, rank_dense
from tfsage.evaluation.judgements import Judgements


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_double_loop_in_float64(seed):
    judgements = make_judgements(seed)
    queries, products = make_vectors(judgements, seed)
    score = queries.astype(np.float64) @ products.astype(np.float64).T
    expected = ranks_by_loops(lambda q, p: score[q, p], judgements, UNIT_TOLERANCE)
    assert expected[:, 1].sum() > 0, "the oracle must meet ties"
    np.testing.assert_array_equal(as_counts(rank_dense(queries, products, judgements)), expected)


@pytest.mark.parametrize(
    ("query_block", "product_block", "slab"), [(1, 1, 10), (3, 7, 10_000), (64, 5, 12), (4, 4096, 1), (2, 20, 20)]
)
def test_block_sizes_do_not_matter(monkeypatch, query_block, product_block, slab):
    judgements = make_judgements(5)
    queries, products = make_vectors(judgements, 5)
    expected = as_counts(rank_dense(queries, products, judgements))
    monkeypatch.setattr(dense_ranks, "_QUERY_BLOCK", query_block)
    monkeypatch.setattr(dense_ranks, "_PRODUCT_BLOCK", product_block)
    monkeypatch.setattr(dense_ranks, "_PAIR_BLOCK", query_block)
    monkeypatch.setattr(dense_ranks, "_SLAB", slab)
    np.testing.assert_array_equal(as_counts(rank_dense(queries, products, judgements)), expected)


def test_the_order_of_the_catalog_does_not_matter():
    judgements = make_judgements(6)
    queries, products = make_vectors(judgements, 6)
    permutation = np.random.default_rng(0).permutation(judgements.products)
    moved = np.empty_like(products)
    moved[permutation] = products
    np.testing.assert_array_equal(
        as_counts(rank_dense(queries, moved, relabelled(judgements, permutation))),
        as_counts(rank_dense(queries, products, judgements)),
    )


def test_the_order_of_the_pairs_does_not_matter():
    judgements = make_judgements(7)
    queries, products = make_vectors(judgements, 7)
    order = np.random.default_rng(0).permutation(len(judgements.query))
    columns = {name: getattr(judgements, name)[order] for name in ("query", "product", "weight")}
    np.testing.assert_array_equal(
        as_counts(rank_dense(queries, products, replace(judgements, **columns))),
        as_counts(rank_dense(queries, products, judgements))[order],
    )


def test_exact_copies_of_the_positive_tie_wherever_they_stand():
    """Another kernel for the positive than for the distractors would break about half of these ties."""
    rng = np.random.default_rng(0)
    originals, queries = unit(rng.standard_normal((700, 256))), unit(rng.standard_normal((700, 256)))
    products = np.repeat(originals, 3, axis=0)[rng.permutation(2100)]
    _, first = np.unique(products, axis=0, return_index=True)
    judgements = Judgements(np.arange(700), first, np.ones(700), 2100, np.arange(2100))
    assert (rank_dense(queries, products, judgements).pair.equal >= 2).all()


def test_a_collapsed_model_is_scored_by_chance():
    """10 / (n + 1) for n distractors beside the positive, not 1 (ties won) and not 0 (ties lost)."""
    vector = unit(np.random.default_rng(0).standard_normal((1, 64)))
    judgements = Judgements(np.arange(300), np.arange(300), np.ones(300), 5000, np.arange(300, 5000))
    ranks = rank_dense(np.repeat(vector, 300, axis=0), np.repeat(vector, 5000, axis=0), judgements)
    np.testing.assert_allclose(ranks.pair.hits(10), 10 / 4701, rtol=1e-12)


def test_a_collapsed_model_among_a_million():
    """O10, the last line."""
    judgements = Judgements(np.zeros(1, int), np.zeros(1, int), np.ones(1), 1_000_001, np.arange(1_000_001))
    ranks = rank_dense(np.ones((1, 1), np.float32), np.ones((1_000_001, 1), np.float32), judgements)
    assert ranks.pair.hits(10)[0] == pytest.approx(9.99999e-06, rel=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3.0])
def test_vectors_that_would_rank_wrongly_are_refused(bad):
    judgements = make_judgements()
    queries, products = make_vectors(judgements)
    products[4, 1] = bad
    with pytest.raises(ValueError, match="product 4"):
        rank_dense(queries, products, judgements)


def test_vectors_of_another_type_are_refused():
    """float64 would be multiplied at half the speed, float16 would tie what differs."""
    judgements = make_judgements()
    queries, products = make_vectors(judgements)
    with pytest.raises(ValueError, match="float64 queries"):
        rank_dense(queries.astype(np.float64), products, judgements)
    with pytest.raises(ValueError, match="float16 products"):
        rank_dense(queries, products.astype(np.float16), judgements)


def test_vectors_of_another_catalog_are_refused():
    judgements = make_judgements()
    queries, products = make_vectors(judgements)
    with pytest.raises(ValueError, match="expected queries"):
        rank_dense(queries, products[1:], judgements)


def test_samples_are_nested_and_end_with_the_catalog():
    """Sizes 100, 200, 400, 500, 1000, 1500, and a catalog in an order of its own."""
    judgements = make_judgements(8, queries=6, products=1500, distractors=400)
    remaining = np.random.default_rng(0).permutation(judgements.order[400:])
    judgements = replace(judgements, remaining=remaining)
    queries, products = make_vectors(judgements, 8)
    score = queries.astype(np.float64) @ products.astype(np.float64).T
    ranks = rank_dense(queries, products, judgements)
    assert judgements.sizes == (100, 200, 400, 500, 1000, 1500)
    np.testing.assert_array_equal(
        as_counts(ranks), ranks_by_loops(lambda q, p: score[q, p], judgements, UNIT_TOLERANCE)
    )
    np.testing.assert_array_equal(ranks.nested.greater[2], ranks.pair.greater)


def test_threads_do_not_change_the_counts(monkeypatch):
    rng = np.random.default_rng(0)
    queries, products = unit(rng.standard_normal((300, 8))), unit(rng.standard_normal((2000, 8)))
    judgements = Judgements(np.arange(300), rng.integers(2000, size=300), np.ones(300), 2000, np.arange(2000))
    expected = as_counts(rank_dense(queries, products, judgements))
    monkeypatch.setattr(dense_ranks, "threadpool_info", lambda: [{"user_api": "blas", "num_threads": 7}])
    monkeypatch.setattr(dense_ranks, "_QUERY_BLOCK", 3)
    np.testing.assert_array_equal(as_counts(rank_dense(queries, products, judgements)), expected)


def test_memory_does_not_grow_with_the_number_of_products(monkeypatch):
    """Beyond the vectors and the order that are given; one int64 for every product would be 1.4 MB."""
    monkeypatch.setattr(dense_ranks, "_SLAB", 2000)
    monkeypatch.setattr(dense_ranks, "_PRODUCT_BLOCK", 1000)
    every, peaks = np.arange(20), []
    for count in (20_000, 20_000, 200_000):  # The first call also loads what is loaded once.
        products, order = np.full((count, 4), 0.5, np.float32), np.arange(count)
        tracemalloc.start()
        rank_dense(products[:20], products, Judgements(every, every, np.ones(20), count, order))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 400_000, peaks


class Killed(Exception):
    pass


@pytest.fixture
def long_ranking(monkeypatch):
    """A ranking that keeps its state after every slab of 10 products."""
    monkeypatch.setattr(dense_ranks, "_SLAB", 10)
    monkeypatch.setattr(rank_state, "SAVE_SECONDS", 0.0)
    judgements = make_judgements(9)
    return *make_vectors(judgements, 9), judgements


def slabs_counted(monkeypatch, stop_after: int | None = None) -> list[int]:
    """The slabs (by their first place) that are counted from now on; the next after `stop_after` of them fails."""
    counted, count = [], dense_ranks._Workers.count

    def spy(self, slab, first, blocks, into):
        if len(counted) == stop_after:
            raise Killed
        counted.append(first)
        return count(self, slab, first, blocks, into)

    monkeypatch.setattr(dense_ranks._Workers, "count", spy)
    return counted


def test_a_killed_ranking_goes_on_where_it_was(monkeypatch, tmp_path, long_ranking):
    expected = as_counts(rank_dense(*long_ranking))
    state = tmp_path / "ranks" / "model.npz"
    with monkeypatch.context() as patched:
        slabs_counted(patched, stop_after=4)
        with pytest.raises(Killed):
            rank_dense(*long_ranking, state=state)
    assert state.exists()
    again = slabs_counted(monkeypatch)
    np.testing.assert_array_equal(as_counts(rank_dense(*long_ranking, state=state)), expected)
    assert again == [40, 50]
    np.testing.assert_array_equal(as_counts(rank_dense(*long_ranking, state=state)), expected)
    assert again == [40, 50], "what is done is not done again"


def test_a_short_ranking_keeps_nothing(tmp_path):
    judgements = make_judgements()
    rank_dense(*make_vectors(judgements), judgements, state=tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["queries", "products", "pairs", "order", "damage"])
def test_what_was_counted_for_other_inputs_is_not_gone_on_with(monkeypatch, tmp_path, long_ranking, change):
    queries, products, judgements = long_ranking
    state = tmp_path / "model.npz"
    with monkeypatch.context() as patched:
        slabs_counted(patched, stop_after=4)
        with pytest.raises(Killed):
            rank_dense(*long_ranking, state=state)
    if change == "queries":
        queries = queries[::-1].copy()
    elif change == "products":
        products = products.copy()
        products[-1] = -products[-1]
    elif change == "pairs":
        judgements = replace(judgements, excluded_product=(judgements.excluded_product + 1) % 60)
    elif change == "order":
        judgements = replace(judgements, remaining=judgements.order[35:][::-1])
    else:
        state.write_bytes(state.read_bytes()[:100])
    expected = as_counts(rank_dense(queries, products, judgements))
    again = slabs_counted(monkeypatch)
    np.testing.assert_array_equal(as_counts(rank_dense(queries, products, judgements, state=state)), expected)
    assert again == [0, 10, 20, 30, 40, 50]
