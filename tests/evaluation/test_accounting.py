"""The pure entry point, and the ways in which a careless evaluation misleads."""

import doctest
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from tests.conftest import ROOT
from tests.evaluation.worlds import unit
from tfsage.evaluation import account, accounting
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.strata import cold_start


def test_the_example_says_what_it_prints():
    assert doctest.testmod(accounting) == (0, 9)


def test_no_tensorflow_is_needed():
    """Importing it raises here, so that nothing can have used it."""
    code = """
import sys, tfsage
sys.modules["tensorflow"] = sys.modules["tf_keras"] = sys.modules["scann"] = None
import numpy as np
from tfsage.evaluation import account
queries, products, pairs = np.eye(3, dtype=np.float32), np.eye(5, 3, dtype=np.float32), [[0, 0], [1, 1], [2, 3]]
metrics = account(queries, products, pairs, k=(1,),
    popularity=np.arange(5.0), graded=(np.array([[0, 0], [1, 4]]), np.array([1.0, 2.0])))
assert metrics["recall@1"]["value"] == 2 / 3, metrics
assert metrics["graded"]["model"]["ndcg@1"]["value"] == 0.5, metrics
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_the_evaluator_itself():
    """Every headline number by a loop in float64."""
    rng = np.random.default_rng(0)
    products, queries = unit(rng.standard_normal((80, 4))), unit(rng.standard_normal((10, 4)))
    pairs = np.array([(q, p) for q in range(10) for p in rng.choice(80, 3, replace=False)])
    weights, excluded = rng.integers(1, 5, len(pairs)).astype(float), rng.integers([10, 80], size=(40, 2))
    distractors = rng.choice(80, 50, replace=False)
    metrics = account(queries, products, pairs, weights, k=(5,), distractors=distractors, excluded=excluded)
    positives = {tuple(pair) for pair in pairs}
    barred = positives | {tuple(pair) for pair in excluded}
    score = queries.astype(np.float64) @ products.T
    hits = [sum(score[q, d] > score[q, p] for d in distractors if (q, d) not in barred) < 5 for q, p in pairs]
    assert metrics["recall@5"]["value"] == pytest.approx(weights @ hits / weights.sum())
    assert metrics["distractor_curve"]["distractors"] == [50, 80]
    assert metrics["distractor_curve"]["model"]["recall@5"][0] == pytest.approx(metrics["recall@5"]["value"])
    assert metrics["ranks"]["model"]["tied"] == 0


def test_what_is_given_is_told_and_what_is_not_is_left_out():
    vectors = unit(np.random.default_rng(0).standard_normal((30, 4)))
    pairs = np.stack([np.arange(10), np.arange(10)], axis=1)
    plain = account(vectors[:10], vectors, pairs, k=(3,), bootstrap=50)
    assert (plain["baselines"], plain["strata"]) == ({}, {})
    assert "graded" not in plain and "popularity" not in plain["hubness"]
    full = account(
        vectors[:10],
        vectors,
        pairs,
        k=(3,),
        bootstrap=50,
        popularity=np.arange(30.0),
        strata={"cold_start": cold_start(np.arange(10) > 6)},
        graded=(pairs[:4], np.array([0.0, 1.0, 2.0, 2.5])),
    )
    assert set(full["baselines"]) == {"popularity"}
    assert [(row["group"], row["pairs"], row["share"]) for row in full["strata"]["cold_start"]] == [
        ("cold", 7, 0.7),
        ("warm", 3, 0.3),
    ]
    assert full["graded"]["model"]["ndcg@3"]["queries"] == 3, "a query without any grade above 0 has no nDCG"
    assert full["graded"]["model"]["ndcg@3"]["value"] == pytest.approx(1.0)


def ranked(ranks: list[int], products: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries, products and pairs in which the product of pair i has rank ranks[i] among the others of the catalog.

    Products lie on a quarter circle; a query at the beginning of it ranks them in order.
    """
    angles = np.linspace(0, np.pi / 2, products)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pairs = np.array([(query, rank - 1) for query, rank in enumerate(ranks)])
    return np.tile(circle[:1], (len(ranks), 1)), circle, pairs


def sampled_recall(ranks: list[int], products: int, sample: int, again: bool = False, k: int = 10) -> float:
    """The expected recall@k of such pairs among `sample` products drawn from the others, each once or `again`."""
    better, others = np.array(ranks) - 1, products - 1
    if again:
        return float(stats.binom.cdf(k - 1, sample, better / others).mean())
    return float(stats.hypergeom.cdf(k - 1, others, better, sample).mean())


def test_the_expected_recall_of_a_sample_is_what_samples_have():
    """The formula of these tests against the evaluator, over 60 draws."""
    queries, circle, pairs = ranked([11, 60, 61, 62], 500)
    rng, values = np.random.default_rng(0), []
    for _ in range(60):
        judgements = Judgements(pairs[:, 0], pairs[:, 1], np.ones(4), 500, rng.choice(500, 100, replace=False))
        values.append(rank_dense(queries, circle, judgements).pair.hits(10).mean())
    assert np.mean(values) == pytest.approx(sampled_recall([11, 60, 61, 62], 500, 100), abs=0.08)


def test_a_small_sample_of_distractors_turns_the_order_of_two_models_around():
    """A ranks everything 60th, B one of five 5th and the rest far away, among 10,000."""
    a, b = [60] * 5, [5, 600, 600, 600, 2000]
    exact = [account(*ranked(ranks, 10_000), k=(10,), bootstrap=50)["recall@10"]["value"] for ranks in (a, b)]
    assert exact == pytest.approx([0.0, 0.2])
    assert [sampled_recall(ranks, 10_000, 100, again=True) for ranks in (a, b)] == pytest.approx(
        [1.000, 0.754], abs=2e-3
    )
    assert [sampled_recall(ranks, 10_000, 1000, again=True) for ranks in (a, b)] == pytest.approx(
        [0.923, 0.2], abs=2e-3
    )
    # Drawn once each, as ours are, the order is turned around as well.
    assert [sampled_recall(ranks, 10_000, 1000) for ranks in (a, b)] == pytest.approx([0.934, 0.2], abs=2e-3)


def test_a_share_of_the_catalog_as_distractors_flatters():
    """Ranks 11, 21 and 501 have recall@10 = 0, yet are hits again and again among a million distractors.

    In a catalog of 2M, and of 50M for rank 501. Distractors that are drawn once each flatter rank 11 still more.
    """
    million, asked = 1_000_000, ((11, 2_000_000), (21, 2_000_000), (501, 50_000_000))
    again = [sampled_recall([rank], catalog, million, again=True) for rank, catalog in asked]
    assert again == pytest.approx([0.968, 0.458, 0.458], abs=1e-3)
    once = [sampled_recall([rank], catalog, million) for rank, catalog in asked]
    assert once == pytest.approx([0.999, 0.412, 0.457], abs=1e-3)
    for rank in (11, 21, 501):
        assert account(*ranked([rank], 2_000), k=(10,), bootstrap=10)["recall@10"]["value"] == 0


def test_the_curve_over_distractors_shows_how_a_sample_flatters():
    """Nested samples: the recall of each size is exact, falls with the size, and ends with the whole catalog."""
    rng = np.random.default_rng(0)
    metrics = account(*ranked(rng.integers(1, 400, 60).tolist(), 3000), k=(10,), bootstrap=20)
    curve = metrics["distractor_curve"]
    assert curve["distractors"] == [100, 200, 500, 1000, 2000, 3000]
    values = curve["model"]["recall@10"]
    assert (np.diff(values) <= 0).all() and values[0] > 0.9 > 0.1 > values[-1]
    assert values[-1] == pytest.approx(metrics["recall@10"]["value"])


def test_a_collapsed_model_is_scored_by_chance_and_rings_the_alarm():
    vector = unit(np.ones((1, 8)))
    pairs = np.stack([np.arange(20), np.arange(20)], axis=1)
    metrics = account(np.repeat(vector, 20, axis=0), np.repeat(vector, 1000, axis=0), pairs, k=(10,), bootstrap=20)
    assert metrics["recall@10"]["value"] == pytest.approx(10 / 1000)
    ranks = metrics["ranks"]["model"]
    assert (ranks["recall@10_minimum"], ranks["recall@10_maximum"], ranks["tied"]) == pytest.approx((1.0, 0.0, 1.0))
    assert (ranks["median_minimum"], ranks["median_expected"], ranks["median_maximum"]) == (1, 500.5, 1000)
    assert metrics["collapsed"] and any("collapsed" in alarm for alarm in metrics["alarms"])
