from types import SimpleNamespace

import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements
from tests.experiments.runs import write_run
from tfsage.config import Config, EvaluationConfig
from tfsage.errors import TfsageError
from tfsage.evaluation.recall import recall_sums
from tfsage.experiments.results import BETTER, UNDECIDED, WORSE, compare, difference

PRODUCTS = 300


def config(*tasks):
    about = {"surface": "search", "query_type": "query", "actions": {"click": 1}, "query_tower": "text"}
    return Config.model_validate(
        {
            "towers": {"product": {"kind": "unified"}, "text": {"kind": "ngram"}},
            "tasks": [{"name": name, **about} for name in tasks],
            "evaluation": EvaluationConfig(k=(5, 20), bootstrap=400).model_dump(),
        }
    )


def data(counts):
    """Stands for prepared data whose training pairs engage product p counts[p] times."""
    pairs = SimpleNamespace(entity=np.arange(PRODUCTS), count=counts)
    return SimpleNamespace(entity=lambda kind: SimpleNamespace(count=PRODUCTS), pairs=lambda *_: pairs)


@pytest.fixture(scope="module")
def tasks():
    return {name: make_judgements(seed, 60, PRODUCTS, 200) for name, seed in (("click", 1), ("save", 2))}


@pytest.fixture(scope="module")
def world(tmp_path_factory, tasks):
    """Three seeds of a reference, and of a variant with less noise; their ranks."""
    folder, runs, ranks = tmp_path_factory.mktemp("grid"), {}, {}
    for name, noise in (("plain", 1.2), ("clear", 0.6)):
        runs[name] = {seed: folder / name / str(seed) for seed in (1, 2, 3)}
        ranks[name] = [write_run(run, tasks, seed, noise, 0.01 * seed) for seed, run in runs[name].items()]
    counts = np.random.default_rng(0).integers(0, 9, PRODUCTS).astype(float)
    return SimpleNamespace(runs=runs, ranks=ranks, counts=counts)


def compared(world, tasks, **changed):
    arguments = {
        "runs": world.runs,
        "reference": "plain",
        "data": data(world.counts),
        "config": config(*tasks),
        "metric": "recall",
        "split": "dev",
    }
    return compare(**{**arguments, **changed})


def by_hand(ranks, tasks, k, kept=None):
    """Recall of one run: hits over weight in each task, then the mean over the tasks."""
    values = []
    for name, judgements in tasks.items():
        weight = judgements.weight * (1 if kept is None else kept[judgements.product])
        values.append((weight * ranks[name].pair.hits(k)).sum() / weight.sum())
    return np.mean(values)


@pytest.mark.parametrize("k", [5, 20])
def test_values_are_means_over_tasks_and_seeds(world, tasks, k):
    found = compared(world, tasks)["variants"]
    for name in ("plain", "clear"):
        own = [by_hand(ranks, tasks, k) for ranks in world.ranks[name]]
        assert found[name][f"recall@{k}"]["runs"] == pytest.approx(own)
        assert found[name][f"recall@{k}"]["value"] == pytest.approx(np.mean(own))
    paired = found["clear"]["differences"][f"recall@{k}"]
    assert paired["difference"] == pytest.approx(
        found["clear"][f"recall@{k}"]["value"] - found["plain"][f"recall@{k}"]["value"]
    )
    assert paired["low"] < paired["difference"] < paired["high"]
    assert paired["verdict"] == BETTER
    assert "differences" not in found["plain"]


def test_the_other_way_round_it_is_worse(world, tasks):
    there = compared(world, tasks)["variants"]["clear"]["differences"]["recall@5"]
    back = compared(world, tasks, reference="clear")["variants"]["plain"]["differences"]["recall@5"]
    assert back["verdict"] == WORSE
    assert (back["low"], back["high"]) == pytest.approx((-there["high"], -there["low"]))


def test_the_tail_holds_the_products_that_training_saw_least(world, tasks):
    results = compared(world, tasks)
    counts = 2 * world.counts  # both tasks count
    asked = np.concatenate([counts[each.product] for each in tasks.values()])
    assert results["tail"] == {"at_most": np.median(asked), "share": np.mean(asked <= np.median(asked))}
    rare = counts <= np.median(asked)
    own = [by_hand(ranks, tasks, 5, rare) for ranks in world.ranks["clear"]]
    assert results["variants"]["clear"]["tail_recall@5"]["value"] == pytest.approx(np.mean(own))
    assert results["variants"]["clear"]["tail_recall@5"]["value"] != results["variants"]["clear"]["recall@5"]["value"]


def test_with_a_tail_of_everything_its_recall_is_that_of_all(world, tasks):
    for metric in ("recall", "query_recall"):
        found = compared(world, tasks, data=data(np.ones(PRODUCTS)), metric=metric)["variants"]["clear"]
        for part, value in found[f"{metric}@5"].items():
            assert found[f"tail_{metric}@5"][part] == pytest.approx(value)


def test_query_recall_counts_every_query_once(world, tasks):
    value = compared(world, tasks, metric="query_recall")["variants"]["plain"]["query_recall@5"]["value"]
    sums = [recall_sums(ranks[t], tasks[t], [5])["query_recall@5"] for ranks in world.ranks["plain"] for t in tasks]
    assert value == pytest.approx(np.mean([each.numerator.sum() / each.denominator.sum() for each in sums]))


def test_a_query_of_two_tasks_is_one_draw(tmp_path, world, tasks):
    """The same pairs asked by two tasks say no more than once: the interval is that of one task."""
    one, two = {"click": tasks["click"]}, {"click": tasks["click"], "save": tasks["click"]}
    found = []
    for asked in (one, two):
        runs = {name: {1: tmp_path / f"{name}{len(asked)}"} for name in ("plain", "clear")}
        for name, noise in (("plain", 1.2), ("clear", 0.6)):
            write_run(runs[name][1], asked, 1, noise)
        found.append(compared(world, asked, runs=runs)["variants"]["clear"])
    for end in ("low", "high"):
        assert found[0]["recall@5"][end] == pytest.approx(found[1]["recall@5"][end])
        one, two = (each["differences"]["recall@5"][end] for each in found)
        assert one == pytest.approx(two)


def test_the_interval_is_close_to_the_normal_one(tmp_path, world, tasks):
    """By hand for one task: the mean over seeds query by query, the linearised ratio of sums."""
    judgements, runs, sums = tasks["click"], {}, {}
    for name, noise in (("plain", 1.2), ("clear", 0.6)):
        runs[name] = {seed: tmp_path / f"{name}{seed}" for seed in (1, 2)}
        ranks = [write_run(run, {"click": judgements}, seed, noise)["click"] for seed, run in runs[name].items()]
        sums[name] = np.mean([recall_sums(each, judgements, [5])["recall@5"].numerator for each in ranks], axis=0)
    weight = np.bincount(judgements.query, judgements.weight)
    lead = sums["clear"] - sums["plain"]
    residual = lead - weight * lead.sum() / weight.sum()
    half = 1.96 * np.sqrt(np.square(residual).sum()) / weight.sum()
    found = compared(world, {"click": judgements}, runs=runs)["variants"]["clear"]["differences"]["recall@5"]
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, rel=0.15)


def test_the_same_runs_differ_by_nothing(world, tasks):
    runs = {"plain": world.runs["plain"], "twin": world.runs["plain"]}
    paired = compared(world, tasks, runs=runs)["variants"]["twin"]["differences"]
    for each in paired.values():
        assert (each["difference"], each["low"], each["high"], each["verdict"]) == (0.0, 0.0, 0.0, UNDECIDED)


def test_variants_are_paired_with_the_seeds_they_have(world, tasks):
    runs = {"plain": world.runs["plain"], "clear": {2: world.runs["clear"][2], 9: world.runs["clear"][3]}, "none": {}}
    found = compared(world, tasks, runs=runs)["variants"]
    assert found["clear"]["seeds"] == [2] and "none" not in found
    of_seed = by_hand(world.ranks["clear"][1], tasks, 5) - by_hand(world.ranks["plain"][1], tasks, 5)
    assert found["clear"]["differences"]["recall@5"]["difference"] == pytest.approx(of_seed)


def test_what_stands_beside_recall(world, tasks):
    found = compared(world, tasks)["variants"]["clear"]
    assert found["temperature"] == pytest.approx(0.02)
    assert found["seconds_per_step"] == 0.2, "of the epoch that was disturbed least"
    assert (found["hub_share"], found["coverage"]) == pytest.approx((0.1, 0.5))


@pytest.mark.parametrize(
    ("low", "high", "of_seeds", "verdict"),
    [
        (0.01, 0.03, [0.02, 0.01], BETTER),
        (0.01, 0.03, [0.05, -0.01], UNDECIDED),
        (-0.01, 0.03, [0.02, 0.01], UNDECIDED),
        (-0.03, -0.01, [-0.02, -0.01], WORSE),
        (-0.03, -0.01, [-0.05, 0.01], UNDECIDED),
    ],
)
def test_a_verdict_needs_the_interval_and_every_seed(low, high, of_seeds, verdict):
    assert difference(np.mean(of_seeds), np.linspace(low, high, 101), of_seeds)["verdict"] == verdict


def test_runs_on_other_pairs_are_refused(world, tasks, tmp_path):
    write_run(tmp_path / "other", {**tasks, "save": make_judgements(7, 60, PRODUCTS, 200)}, 1)
    runs = {"plain": world.runs["plain"], "clear": {1: tmp_path / "other"}}
    with pytest.raises(TfsageError, match="save was not evaluated on the same pairs"):
        compared(world, tasks, runs=runs)


def test_without_the_reference_there_is_nothing_to_compare(world, tasks):
    with pytest.raises(TfsageError, match="no run of 'plain'"):
        compared(world, tasks, runs={"clear": world.runs["clear"]})
