"""Two evaluated runs compared from their files alone."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements, unit
from tfsage.config import EvaluationConfig
from tfsage.errors import TfsageError
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.frozen import write_products, write_ranks, write_strata, write_task, write_tasks
from tfsage.evaluation.paired import compare_runs
from tfsage.evaluation.strata import cold_start

CONFIG = EvaluationConfig(k=(3,), bootstrap=300)
JUDGEMENTS = make_judgements(1, queries=60, products=200, distractors=150)
COLD = np.arange(200) < 60


def write_run(folder, noise: float, judgements=JUDGEMENTS, cold_noise: float = 0.0, task="search_click"):
    """A run whose queries lie near their products; those whose product is cold lie `cold_noise` further away."""
    rng = np.random.default_rng(0)
    products, target = unit(rng.standard_normal((200, 16))), np.zeros((60, 16))
    first = judgements.product[np.unique(judgements.query, return_index=True)[1]]
    target = products[first] + (noise + cold_noise * COLD[first])[:, None] * unit(rng.standard_normal((60, 16)))
    vectors = folder / "vectors" / "test"
    vectors.mkdir(parents=True)
    write_products(vectors, [f"p{row}" for row in range(200)], judgements.distractors)
    write_task(
        vectors / task,
        judgements,
        np.arange(60),
        [f"q{q}" for q in judgements.query],
        [f"p{p}" for p in judgements.product],
    )
    write_ranks(vectors / task, {"model": rank_dense(unit(target), products, judgements)})
    write_strata(vectors / task, {"cold_start": cold_start(~COLD[judgements.product])})
    write_tasks(vectors, {task: {"queries": "q.npy", "products": "p.npy"}})
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        "good": write_run(folder / "good", 0.3),
        "bad": write_run(folder / "bad", 4.0),
        "bad when cold": write_run(folder / "bad_when_cold", 0.3, cold_noise=6.0),
    }


def test_the_difference_is_that_of_the_values_and_the_verdict_that_of_the_interval(runs):
    compared = compare_runs(runs["bad"], runs["good"], config=CONFIG)
    assert compared["runs"] == [str(runs["bad"]), str(runs["good"])]
    outcome = compared["tasks"]["search_click"]["metrics"]["recall@3"]
    assert outcome["difference"] == pytest.approx(outcome["b"] - outcome["a"])
    assert 0 < outcome["low"] <= outcome["difference"] <= outcome["high"]
    assert (outcome["verdict"], outcome["queries"]) == ("better", 60)
    assert set(compared["tasks"]["search_click"]["metrics"]) == {"recall@3", "macro_recall@3", "query_recall@3"}


def test_turned_around_the_verdict_turns_around(runs):
    there = compare_runs(runs["bad"], runs["good"], config=CONFIG)["tasks"]["search_click"]["metrics"]["recall@3"]
    back = compare_runs(runs["good"], runs["bad"], config=CONFIG)["tasks"]["search_click"]["metrics"]["recall@3"]
    assert back["verdict"] == "worse"
    assert (back["a"], back["b"], back["difference"]) == pytest.approx((there["b"], there["a"], -there["difference"]))
    assert (back["low"], back["high"]) == pytest.approx((-there["high"], -there["low"]))


def test_a_run_does_not_differ_from_itself(runs):
    tasks = compare_runs(runs["good"], runs["good"], config=CONFIG)["tasks"]
    outcome = tasks["search_click"]["metrics"]["recall@3"]
    assert (outcome["difference"], outcome["low"], outcome["high"]) == (0, 0, 0)
    assert outcome["verdict"] == "undecided"


def test_a_loss_in_one_group_shows_in_that_group_alone(runs):
    task = compare_runs(runs["good"], runs["bad when cold"], config=CONFIG)["tasks"]["search_click"]
    groups = {row["group"]: row for row in task["strata"]["cold_start"]}
    assert set(groups) == {"cold", "warm"}
    assert sum(row["pairs"] for row in groups.values()) == len(JUDGEMENTS.query)
    assert groups["cold"]["recall@3"]["verdict"] == "worse"
    assert groups["warm"]["recall@3"]["difference"] > groups["cold"]["recall@3"]["high"]


def test_groups_add_up_to_the_whole(runs):
    """Σ over groups of weight × recall is that of all pairs."""
    task = compare_runs(runs["bad"], runs["good"], config=CONFIG)["tasks"]["search_click"]
    weights = {
        "cold": JUDGEMENTS.weight[COLD[JUDGEMENTS.product]].sum(),
        "warm": JUDGEMENTS.weight[~COLD[JUDGEMENTS.product]].sum(),
    }
    for run in ("a", "b"):
        parts = sum(weights[row["group"]] * row["recall@3"][run] for row in task["strata"]["cold_start"])
        assert parts / JUDGEMENTS.weight.sum() == pytest.approx(task["metrics"]["recall@3"][run])


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("distractors", {"distractors": JUDGEMENTS.distractors[1:]}),
        ("pairs", {"weight": JUDGEMENTS.weight + 1}),
        (
            "exclusions",
            {"excluded_query": JUDGEMENTS.excluded_query[1:], "excluded_product": JUDGEMENTS.excluded_product[1:]},
        ),
    ],
)
def test_another_question_is_refused(runs, tmp_path, what, change):
    other = write_run(tmp_path / "other", 0.3, replace(JUDGEMENTS, **change))
    with pytest.raises(TfsageError, match=f"search_click was evaluated with other {what};"):
        compare_runs(runs["good"], other)


def test_runs_without_a_task_in_common_are_refused(runs, tmp_path):
    other = write_run(tmp_path / "other", 0.3, task="closeup_click")
    with pytest.raises(TfsageError, match="no task in common"):
        compare_runs(runs["good"], other)
