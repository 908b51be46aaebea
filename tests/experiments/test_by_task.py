from types import SimpleNamespace

import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements
from tests.experiments.runs import write_run
from tests.experiments.test_results import PRODUCTS, config, data
from tfsage.experiments.by_task import compare_tasks


@pytest.fixture(scope="module")
def tasks():
    return {name: make_judgements(seed, 60, PRODUCTS, 200) for name, seed in (("click", 1), ("save", 2))}


@pytest.fixture(scope="module")
def world(tmp_path_factory, tasks):
    """Two variants of two seeds each, and their ranks."""
    folder, runs, ranks = tmp_path_factory.mktemp("by_task"), {}, {}
    for name, noise in (("plain", 1.2), ("clear", 0.6)):
        runs[name] = {seed: folder / name / str(seed) for seed in (1, 2)}
        ranks[name] = {seed: write_run(run, tasks, seed, noise) for seed, run in runs[name].items()}
    return SimpleNamespace(runs=runs, ranks=ranks)


def compared(world, tasks, pairs=(("clear", "plain"),), runs=None):
    counts = np.ones(PRODUCTS)
    return compare_tasks(runs or world.runs, "plain", pairs, data(counts), config(*tasks), "recall", "dev")


def recall(ranks, judgements, draw=None):
    """Engagement-weighted recall@5; `draw`: how often each query counts."""
    weight = judgements.weight * (1 if draw is None else draw[judgements.query])
    return (weight * ranks.pair.hits(5)).sum() / weight.sum()


def test_values_and_relative_differences_of_each_task(world, tasks):
    found = compared(world, tasks)
    for task, judgements in tasks.items():
        own = {
            name: [recall(world.ranks[name][seed][task], judgements) for seed in (1, 2)] for name in ("plain", "clear")
        }
        assert found["values"]["clear"][task]["value"] == pytest.approx(np.mean(own["clear"]))
        assert found["values"]["clear"][task]["runs"] == pytest.approx(own["clear"])
        difference = found["differences"]["clear", "plain"][task]
        assert difference["difference"] == pytest.approx(np.mean(own["clear"]) / np.mean(own["plain"]) - 1)
        assert difference["runs"] == pytest.approx(np.divide(own["clear"], own["plain"]) - 1)
        assert difference["low"] < difference["difference"] < difference["high"]
    assert found["metric"] == "recall@5" and found["queries"] == {"click": 60, "save": 60}


def test_the_interval_is_that_of_queries_drawn_together_for_both(world, tasks):
    """By hand: queries drawn with replacement, the mean over seeds, the ratio; control: drawn apart it is wider."""
    rng, judgements = np.random.default_rng(0), tasks["click"]

    def drawn(name, draw):
        return np.mean([recall(world.ranks[name][seed]["click"], judgements, draw) for seed in (1, 2)])

    draws = [np.bincount(rng.integers(60, size=60), minlength=60) for _ in range(2000)]
    paired = [drawn("clear", draw) / drawn("plain", draw) - 1 for draw in draws]
    apart = [drawn("clear", one) / drawn("plain", two) - 1 for one, two in zip(draws, draws[::-1], strict=True)]
    found = compared(world, tasks)["differences"]["clear", "plain"]["click"]
    width = found["high"] - found["low"]
    assert width == pytest.approx(np.subtract(*np.quantile(paired, [0.975, 0.025])), rel=0.2)
    assert width < 0.9 * np.subtract(*np.quantile(apart, [0.975, 0.025]))


def test_the_other_way_round_it_is_the_inverse(world, tasks):
    found = compared(world, tasks, [("clear", "plain"), ("plain", "clear")])["differences"]
    there, back = found["clear", "plain"]["save"], found["plain", "clear"]["save"]
    assert 1 + back["difference"] == pytest.approx(1 / (1 + there["difference"]))


def test_pairs_share_their_seeds(world, tasks):
    runs = {"plain": world.runs["plain"], "clear": {2: world.runs["clear"][2]}, "none": {}}
    found = compared(world, tasks, [("clear", "plain"), ("none", "plain")], runs)
    assert list(found["differences"]) == [("clear", "plain")]
    one, other = (recall(world.ranks[name][2]["click"], tasks["click"]) for name in ("clear", "plain"))
    assert found["differences"]["clear", "plain"]["click"]["difference"] == pytest.approx(one / other - 1)
