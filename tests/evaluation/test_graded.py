import ir_measures
import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements, unit
from tfsage.config import EvaluationConfig
from tfsage.evaluation.baselines import rank_randomly
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.graded import Grades, drawn_positions, graded_metrics, ndcg_sums, with_graded
from tfsage.evaluation.ranks import Ranks


def ndcg_by_hand(positions, grades, k: int) -> float:
    """Linear gains, discount log2(rank + 1), over the ideal order of the same grades."""
    gained = sum(g / np.log2(p + 1) for p, g in zip(positions, grades, strict=True) if p <= k)
    ideal = sum(g / np.log2(p + 1) for p, g in enumerate(sorted(grades, reverse=True), start=1) if p <= k)
    return gained / ideal


@pytest.fixture(scope="module")
def world():
    judgements = make_judgements(3, queries=12, products=90, distractors=50)
    rng = np.random.default_rng(0)
    queries, products = unit(rng.standard_normal((12, 6))), unit(rng.standard_normal((90, 6)))
    pairs = [(q, p) for q in range(1, 12) for p in rng.choice(90, 7, replace=False)]
    query, product = np.array(pairs).T
    # Thirds as people give them, zeros among them; query 5 has nothing but zeros.
    grade = np.where(query == 5, 0.0, rng.integers(0, 10, len(pairs)) / 3)
    return judgements, queries, products, Grades(query, product, grade)


def test_ndcg_equals_a_loop_over_the_whole_ranking(world):
    judgements, queries, products, grades = world
    asked = with_graded(judgements, grades)
    config = EvaluationConfig(k=(5, 20), bootstrap=200)
    metrics = graded_metrics({"model": rank_dense(queries, products, asked)}, asked, grades, config)["model"]
    excluded = set(zip(judgements.excluded_query, judgements.excluded_product, strict=True))
    relevant = set(zip(asked.query, asked.product, strict=True))
    expected = {5: [], 20: []}
    for query in range(12):
        mine = {int(p): g for q, p, g in zip(*grades, strict=True) if q == query and g > 0}
        if not mine:
            continue
        scores = queries[query].astype(np.float64) @ products.T
        barred = [p for p in range(90) if (query, p) in excluded and (query, p) not in relevant]
        scores[barred] = -np.inf
        order = np.argsort(-scores)
        positions = {int(product): place for place, product in enumerate(order, start=1)}
        for k, values in expected.items():
            values.append(ndcg_by_hand([positions[p] for p in mine], list(mine.values()), k))
    assert len(expected[5]) == metrics["ndcg@5"]["queries"] == 10
    for k, values in expected.items():
        found = metrics[f"ndcg@{k}"]
        assert found["value"] == pytest.approx(np.mean(values), abs=2e-3), "grades are told in thousandths"
        assert found["low"] < found["value"] < found["high"]


def test_the_best_order_scores_one_and_only_it():
    grades = Grades(np.zeros(3, int), np.arange(3), np.array([3.0, 2.0, 1.0]))

    def value(*greater):
        ranks = Ranks(np.array(greater), np.zeros(3, int))
        return ndcg_sums(ranks, grades, (10,), seed=1)["ndcg@10"].numerator[0]

    assert value(0, 1, 2) == pytest.approx(1.0)
    assert value(2, 1, 0) < value(1, 0, 2) < 1
    assert value(50, 51, 52) == 0


def test_the_unit_of_the_grades_does_not_matter(world):
    judgements, queries, products, grades = world
    asked, config = with_graded(judgements, grades), EvaluationConfig(k=(10,), bootstrap=10)
    ranks = {"model": rank_dense(queries, products, asked)}
    doubled = grades._replace(grade=2 * grades.grade)
    assert graded_metrics(ranks, asked, doubled, config) == graded_metrics(ranks, asked, grades, config)


def test_a_ranking_of_ties_scores_what_chance_does(world):
    """Not 1, as when every tie is won: the mean over draws is the expected gain of a random order."""
    judgements, _, _, grades = world
    asked = with_graded(judgements, grades)
    ranks = rank_randomly(asked)
    values = [
        graded_metrics({"random": ranks}, asked, grades, EvaluationConfig(k=(10,), bootstrap=1, seed=seed))["random"][
            "ndcg@10"
        ]["value"]
        for seed in range(60)
    ]
    expected = []
    discounts = 1 / np.log2(np.arange(2, 12))
    excluded = set(zip(judgements.excluded_query, judgements.excluded_product, strict=True))
    relevant = set(zip(asked.query, asked.product, strict=True))
    for query in range(12):
        mine = sorted((g for q, _, g in zip(*grades, strict=True) if q == query and g > 0), reverse=True)
        if mine:
            candidates = sum((query, p) not in excluded or (query, p) in relevant for p in range(90))
            expected.append(sum(mine) * discounts.sum() / candidates / (np.array(mine[:10]) @ discounts[: len(mine)]))
    assert np.mean(values) == pytest.approx(np.mean(expected), rel=0.1)


def test_positions_respect_the_ranks_and_are_not_shared():
    rng = np.random.default_rng(0)
    query = np.sort(rng.integers(20, size=200))
    greater, equal = rng.integers(0, 5, 200), np.full(200, 30)
    positions = drawn_positions(Ranks(greater, equal), query, seed=2)
    assert (positions > greater).all()
    for each in range(20):
        assert len(set(positions[query == each])) == (query == each).sum()
    np.testing.assert_array_equal(drawn_positions(Ranks(greater, 0 * equal), np.arange(200), seed=2), greater + 1)


def test_grades_below_zero_steps_are_kept_above_zero():
    """A grade of a ten-thousandth of the highest still counts as relevant for the library."""
    grades = Grades(np.zeros(2, int), np.arange(2), np.array([1e-4, 1.0]))
    sums = ndcg_sums(Ranks(np.array([0, 1]), np.zeros(2, int)), grades, (10,), seed=1)
    assert 0.6 < sums["ndcg@10"].numerator[0] < 0.65


def test_the_library_is_the_one_that_computes(monkeypatch):
    asked = []
    monkeypatch.setattr(ir_measures, "iter_calc", lambda measures, *_: asked.extend(map(str, measures)) or iter(()))
    grades = Grades(np.zeros(1, int), np.zeros(1, int), np.ones(1))
    ndcg_sums(Ranks(np.zeros(1, int), np.zeros(1, int)), grades, (10, 100), seed=1)
    assert asked == ["nDCG@10", "nDCG@100"]
