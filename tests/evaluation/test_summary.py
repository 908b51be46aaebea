import numpy as np
import pytest

from tfsage.evaluation.recall import QuerySums
from tfsage.evaluation.summary import Summary, averaged


def system(numerator, denominator=None):
    numerator = np.asarray(numerator, float)
    return {"recall@10": QuerySums(numerator, np.ones(len(numerator)) if denominator is None else denominator)}


def test_values_are_ratios_of_sums():
    sums = system([1, 0, 6], np.array([1.0, 2.0, 9.0]))
    described = Summary({"model": sums}, 1000, 1).values("model")["recall@10"]
    assert described["value"] == pytest.approx(7 / 12)
    assert described["low"] <= described["value"] <= described["high"]
    assert described["queries"] == 3


def test_a_paired_difference_is_surer_than_two_intervals():
    """A system that is a little better on every query is surely better, though the values' intervals overlap."""
    hits = np.random.default_rng(0).random(100)
    summary = Summary({"model": system(0.9 * hits + 0.05), "bm25": system(0.9 * hits)}, 1000, 1)
    model, baseline = (summary.values(name)["recall@10"] for name in ("model", "bm25"))
    assert baseline["high"] > model["low"]
    difference = summary.differences("model", ["bm25"])["bm25"]["recall@10"]
    assert difference["difference"] == pytest.approx(0.05)
    assert difference["low"] == pytest.approx(0.05) and difference["high"] == pytest.approx(0.05)


def test_the_sign_of_a_difference():
    rng = np.random.default_rng(0)
    good, poor = (rng.random(300) < 0.7).astype(float), (rng.random(300) < 0.3).astype(float)
    summary = Summary({"model": system(poor), "bm25": system(good)}, 1000, 1)
    assert summary.differences("model", ["bm25"])["bm25"]["recall@10"]["high"] < 0
    assert summary.differences("bm25", ["model"])["model"]["recall@10"]["low"] > 0


def test_the_interval_of_a_difference_is_that_of_its_standard_error():
    rng = np.random.default_rng(0)
    one, other = rng.random(500), rng.random(500)
    described = Summary({"model": system(one), "bm25": system(other)}, 4000, 1).differences("model", ["bm25"])
    difference = described["bm25"]["recall@10"]
    half = 1.96 * (one - other).std() / np.sqrt(500)
    assert (difference["high"] - difference["low"]) / 2 == pytest.approx(half, rel=0.06)


def test_averaging_over_runs_is_query_by_query():
    runs = [system([1, 0, 3], np.array([1.0, 2.0, 3.0])), system([0, 2, 1], np.array([1.0, 2.0, 3.0]))]
    mean = averaged(runs)["recall@10"]
    np.testing.assert_allclose(mean.numerator, [0.5, 1, 2])
    np.testing.assert_allclose(mean.denominator, [1, 2, 3])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_few_queries_that_all_hit_or_miss_prove_little(share):
    """Wilson for 5 of 5 and for 0 of 5; every draw alone would say that it is certain."""
    described = Summary({"model": system([share] * 5)}, 100, 1).values("model")["recall@10"]
    assert described["value"] == share
    low, high = (0.5655, 1.0) if share else (0.0, 0.4345)
    assert (described["low"], described["high"]) == pytest.approx((low, high), abs=1e-4)
    same = Summary({"model": system([share] * 5), "bm25": system([share] * 5)}, 100, 1)
    assert same.differences("model", ["bm25"])["bm25"]["recall@10"]["low"] == 0
