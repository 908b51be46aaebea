import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.evaluation.worlds import make_judgements, unit
from tfsage.config import EvaluationConfig
from tfsage.errors import TfsageError
from tfsage.evaluation.baselines import rank_randomly
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.frozen import write_products, write_ranks, write_task, write_tasks
from tfsage.evaluation.measure import recall_metrics
from tfsage.evaluation.ranks import rank_static
from tfsage.evaluation.seeds import app, average_runs

CONFIG = EvaluationConfig(k=(5, 20), bootstrap=500)
METRICS = [f"{kind}@{k}" for kind in ("recall", "macro_recall", "query_recall") for k in (5, 20)]


def write_run(folder, seed, judgements, noise=0.8, baselines=("random", "bm25")):
    """A run folder whose model differs from the truth by noise of this seed; returns its ranks."""
    products = unit(np.random.default_rng(99).standard_normal((judgements.products, 16)))
    target = np.zeros((judgements.queries, 16))
    np.add.at(target, judgements.query, products[judgements.product])
    queries = unit(target + noise * np.random.default_rng(seed).standard_normal(target.shape))
    all_baselines = {
        "random": rank_randomly(judgements),
        "bm25": rank_static(np.arange(judgements.products, dtype=float), judgements),
    }
    ranks = {"model": rank_dense(queries, products, judgements)} | {name: all_baselines[name] for name in baselines}
    vectors = folder / "vectors" / "test"
    vectors.mkdir(parents=True)
    write_products(vectors, [str(row) for row in range(judgements.products)], judgements.distractors)
    ids = [str(query) for query in judgements.query], [str(product) for product in judgements.product]
    write_task(vectors / "search_click", judgements, np.arange(judgements.queries), *ids)
    write_ranks(vectors / "search_click", ranks)
    write_tasks(vectors, {"search_click": {"queries": "q.npy", "products": "p.npy"}})
    return ranks


@pytest.fixture(scope="module")
def judgements():
    return make_judgements(1, queries=60, products=300, distractors=200)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, judgements):
    folders = [tmp_path_factory.mktemp("runs") / f"seed{seed}" for seed in range(3)]
    return folders, [write_run(folder, seed, judgements) for seed, folder in enumerate(folders)]


def test_values_and_differences_are_means_over_runs(runs, judgements):
    folders, ranks = runs
    mean = average_runs(folders, "test", CONFIG)["search_click"]
    alone = [recall_metrics(each, judgements, CONFIG) for each in ranks]
    for metric in METRICS:
        values = [each[metric]["value"] for each in alone]
        assert len(set(values)) == 3, "the runs must differ for this test to say anything"
        assert mean[metric]["value"] == pytest.approx(np.mean(values))
        assert mean["runs"]["model"][metric] == pytest.approx(values)
        differences = [each["differences"]["bm25"][metric]["difference"] for each in alone]
        assert mean["differences"]["bm25"][metric]["difference"] == pytest.approx(np.mean(differences))


def test_the_interval_is_that_of_queries_averaged_over_runs(runs, judgements):
    """By hand: average the hits of each query over runs, then resample queries: the normal interval is close."""
    folders, ranks = runs
    difference = average_runs(folders, "test", CONFIG.model_copy(update={"bootstrap": 4000}))["search_click"]
    described = difference["differences"]["bm25"]["query_recall@20"]
    of_query = np.bincount(judgements.query)
    hits = np.mean([np.bincount(judgements.query, each["model"].catalog.hits(20)) for each in ranks], axis=0)
    paired = (hits - np.bincount(judgements.query, ranks[0]["bm25"].catalog.hits(20))) / of_query
    half = 1.96 * paired.std() / np.sqrt(len(paired))
    assert (described["high"] - described["low"]) / 2 == pytest.approx(half, rel=0.08)
    assert described["low"] > 0


def test_one_run_alone_gives_its_own_metrics(runs, judgements):
    folders, ranks = runs
    alone = average_runs(folders[:1], "test", CONFIG)["search_click"]
    alone.pop("runs")
    assert alone == recall_metrics(ranks[0], judgements, CONFIG)


def test_runs_on_other_pairs_are_refused(runs, tmp_path):
    write_run(tmp_path / "other", 5, make_judgements(2, queries=60, products=300, distractors=200))
    with pytest.raises(TfsageError, match="other: its task search_click"):
        average_runs([runs[0][0], tmp_path / "other"], "test", CONFIG)


def test_runs_with_other_baselines_are_refused(runs, judgements, tmp_path):
    write_run(tmp_path / "other", 5, judgements, baselines=("random",))
    with pytest.raises(TfsageError, match="different baselines"):
        average_runs([runs[0][0], tmp_path / "other"], "test", CONFIG)


def test_a_run_that_was_not_evaluated_is_refused(runs, tmp_path):
    with pytest.raises(TfsageError, match="tfsage evaluate"):
        average_runs([runs[0][0], tmp_path], "test", CONFIG)


def test_the_command_prints_means_and_differences(runs):
    words = [*map(str, runs[0]), "-k", "5"]
    shown = CliRunner().invoke(app, words).output
    assert "query_recall@5" in shown
    assert "model − bm25" in shown
    as_json = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert as_json["search_click"]["query_recall@5"]["queries"] == 60
