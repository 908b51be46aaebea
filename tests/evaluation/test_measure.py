from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements, unit
from tfsage.config import EvaluationConfig
from tfsage.evaluation.baselines import rank_randomly
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.graded import Grades
from tfsage.evaluation.measure import measure_task, nearest
from tfsage.evaluation.ranks import rank_static
from tfsage.evaluation.strata import cold_start

CONFIG = EvaluationConfig(k=(3, 10), bootstrap=200, fuse_bm25=True)


@pytest.fixture(scope="module")
def world():
    """A model that is right up to noise, with a lexical ranker whose noise is another."""
    judgements = make_judgements(1, queries=40, products=300, distractors=250)
    rng = np.random.default_rng(0)
    products = unit(rng.standard_normal((300, 16)))
    target = np.zeros((40, 16))
    np.add.at(target, judgements.query, products[judgements.product])
    queries = unit(target + 0.4 * rng.standard_normal((40, 16)))
    lexical = np.maximum(unit(target + 0.4 * rng.standard_normal((40, 16))) @ products.T, 0).astype(np.float32)
    return judgements, queries, products, lexical


@pytest.fixture(scope="module")
def result(world):
    judgements, queries, products, lexical = world
    popularity = np.arange(300.0)
    baselines = {"random": rank_randomly, "popularity": lambda j: rank_static(popularity, j)}
    return measure_task(
        queries, products, judgements, CONFIG, baselines, lambda: (row.copy() for row in lexical), popularity
    )


def test_every_system_has_every_metric_with_its_interval(result):
    metrics = result.metrics
    systems = [metrics, metrics["fusion"], *metrics["baselines"].values()]
    assert set(metrics["baselines"]) == {"random", "popularity"}
    for system in systems:
        for name in ("recall@3", "recall@10", "macro_recall@3", "macro_recall@10", "query_recall@3", "query_recall@10"):
            value = system[name]
            assert set(value) == {"value", "low", "high", "queries"}
            assert 0 <= value["low"] <= value["value"] <= value["high"] <= 1
            assert value["queries"] == 40


def test_differences_are_those_of_the_values(result):
    metrics = result.metrics
    for other, differences in metrics["differences"].items():
        for name, difference in differences.items():
            expected = metrics[name]["value"] - metrics["baselines"][other][name]["value"]
            assert difference["difference"] == pytest.approx(expected)
            assert difference["low"] <= difference["difference"] <= difference["high"]
    assert set(metrics["fusion"]["differences"]) == {"model", "random", "popularity"}


def test_a_good_model_beats_chance_and_fusion_beats_the_model(result):
    assert result.metrics["differences"]["random"]["recall@10"]["low"] > 0
    assert result.metrics["fusion"]["differences"]["model"]["recall@10"]["low"] > 0


def test_the_curve_agrees_with_the_metric_and_rises(result):
    curve = result.metrics["recall_curve"]
    assert curve["k"] == [1, 2, 5, 10, 20, 50, 100, 200]
    assert set(curve) == {"k", *result.ranks}
    assert curve["model"][3] == pytest.approx(result.metrics["recall@10"]["value"])
    assert (np.diff(curve["model"]) >= 0).all()


def test_fusion_is_an_option(world):
    judgements, queries, products, lexical = world
    config = CONFIG.model_copy(update={"fuse_bm25": False})
    assert "fusion" not in measure_task(queries, products, judgements, config, {}, lambda: iter(lexical)).metrics
    assert "fusion" not in measure_task(queries, products, judgements, CONFIG, {}).metrics


def test_a_healthy_space_raises_no_alarm_and_a_collapsed_one_does(world, result):
    judgements, queries, products, _ = world
    assert result.metrics["collapsed"] is False
    assert result.metrics["alarms"] == []
    noise = 0.01 * np.random.default_rng(0).standard_normal(products.shape)
    collapsed = measure_task(queries, unit(products[:1] + noise), judgements, CONFIG, {}).metrics
    assert collapsed["collapsed"] is True
    assert "vectors of the products" in collapsed["alarms"][0]
    assert collapsed["mean_cosine"]["products"] > 0.99


def test_hubness_stands_beside_both_references(result, world):
    hubness = result.metrics["hubness"]
    assert (hubness["k"], hubness["queries"]) == (10, 40)
    assert hubness["popularity"]["max_share"] == 1.0
    assert hubness["popularity"]["coverage"] == pytest.approx(10 / 300)
    judgements = world[0]
    engaged = np.bincount(judgements.product, minlength=300)
    assert hubness["engaged_products"]["max_share"] == pytest.approx(engaged.max() / 40)


def test_nearest_leaves_out_what_is_excluded_for_that_query(world):
    judgements, queries, products, _ = world
    chosen = np.array([7, 2, 30])
    scores = queries[chosen].astype(np.float64) @ products.T
    for query, product in zip(judgements.excluded_query, judgements.excluded_product, strict=True):
        scores[chosen == query, product] = -np.inf
    np.testing.assert_array_equal(
        nearest(queries, products, judgements, chosen, 20), np.argsort(-scores, axis=1, kind="stable")[:, :20]
    )


def test_nearest_of_a_catalog_smaller_than_k(world):
    judgements, queries, products, _ = world
    everything = np.arange(300)
    alone = replace(judgements, excluded_query=np.zeros(300, int), excluded_product=everything)
    assert (nearest(queries, products, alone, np.array([0]), 5) == -1).all()
    lists = nearest(queries, products, alone, np.array([1]), 400)
    assert set(lists[0]) == {-1, *range(300)}


def test_ranks_are_told_for_every_system_with_what_ties_leave_open(result):
    ranks = result.metrics["ranks"]
    assert set(ranks) == {"model", "fusion", "random", "popularity"}
    assert ranks["random"]["tied"] == 1.0 and ranks["popularity"]["tied"] == 0.0
    for name, each in ranks.items():
        assert each["median_minimum"] <= each["median_expected"] <= each["median_maximum"]
        system = result.metrics if name == "model" else result.metrics["baselines"].get(name, result.metrics["fusion"])
        for k in (3, 10):
            lost, won = each[f"recall@{k}_maximum"], each[f"recall@{k}_minimum"]
            assert lost - 1e-12 <= system[f"recall@{k}"]["value"] <= won + 1e-12


def test_the_distractor_curve_goes_through_the_metric(result):
    curve = result.metrics["distractor_curve"]
    assert (curve["distractors"], curve["k"]) == ([100, 200, 250, 300], [3, 10])
    for name in ("model", "fusion", "random", "popularity"):
        values = np.array([curve[name]["recall@3"], curve[name]["recall@10"]])
        assert (np.diff(values, axis=1) <= 1e-12).all() and (values[0] <= values[1]).all()
    assert curve["model"]["recall@10"][2] == pytest.approx(result.metrics["recall@10"]["value"])


def test_strata_and_grades_are_of_every_system(world):
    judgements, queries, products, _ = world
    strata = {"cold_start": cold_start(judgements.product % 3 > 0)}
    grades = Grades(judgements.query[:9], judgements.product[:9], np.arange(9.0))
    metrics = measure_task(
        queries, products, judgements, CONFIG, {"random": rank_randomly}, strata=strata, grades=grades
    ).metrics
    rows = metrics["strata"]["cold_start"]
    assert [row["group"] for row in rows] == ["cold", "warm"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    weight = [judgements.weight[judgements.product % 3 == 0].sum(), judgements.weight[judgements.product % 3 > 0].sum()]
    for name, system in (("model", metrics), ("random", metrics["baselines"]["random"])):
        parts = [row[name]["recall@10"]["value"] for row in rows]
        assert np.average(parts, weights=weight) == pytest.approx(system["recall@10"]["value"])
    assert set(metrics["graded"]) == {"model", "random"}
    assert metrics["graded"]["model"]["ndcg@10"]["value"] > metrics["graded"]["random"]["ndcg@10"]["value"]


def test_ranks_are_those_of_the_model(world, result):
    judgements, queries, products, _ = world
    expected = rank_dense(queries, products, judgements)
    np.testing.assert_array_equal(result.ranks["model"].pair.greater, expected.pair.greater)
