"""The whole evaluation of a run, trained for a few steps on a tiny shop."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import command
from tests.evaluation.worlds import as_counts
from tfsage.config import TEXT_FIELDS
from tfsage.errors import TfsageError
from tfsage.evaluation import FrozenVectors, compare_runs, evaluate_run, recall_metrics
from tfsage.evaluation.bundle_loss import measure_bundle
from tfsage.evaluation.dense_ranks import rank_dense


@pytest.fixture(scope="module")
def run(trained_run, tmp_path_factory):
    """A copy of the trained run, so that other tests see theirs as training left it."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(trained_run, folder)
    return folder


@pytest.fixture(scope="module")
def metrics(run, bundles):
    command(["tfsage.cli", "evaluate", "--run", run, "--bundle", bundles / "CURRENT"])
    return json.loads((run / "metrics.json").read_text())


def test_metrics_are_of_every_engagement_task(metrics):
    assert set(metrics["tasks"]) == {"closeup_click", "search_click"}
    assert (metrics["split"], metrics["distractors"], metrics["products"]) == ("test", 150, 300)
    assert set(metrics["tasks"]["search_click"]["baselines"]) == {"random", "popularity", "bm25"}
    assert set(metrics["tasks"]["closeup_click"]["baselines"]) == {"random", "popularity", "sum"}
    for task in metrics["tasks"].values():
        for system in (task, *task["baselines"].values()):
            for k in (10, 100):
                value = system[f"recall@{k}"]
                assert 0 <= value["low"] <= value["value"] <= value["high"] <= 1
                assert value["queries"] == task["queries"] > 0


def test_baselines_are_what_their_names_say(metrics):
    """Lexical overlap and images tell the synthetic products apart; chance is about 10 of 150.

    Some of the queries are in another language than the products.
    """
    search, closeup = metrics["tasks"]["search_click"]["baselines"], metrics["tasks"]["closeup_click"]["baselines"]
    assert search["bm25"]["recall@10"]["value"] > 0.25
    assert closeup["sum"]["recall@10"]["value"] > 0.4
    for baselines in (search, closeup):
        assert 10 / 151 <= baselines["random"]["recall@10"]["value"] < 0.08


def test_every_number_can_be_recomputed_from_the_saved_vectors(run, metrics):
    from tfsage.config import load_config

    frozen, config = FrozenVectors(run / "vectors" / "test"), load_config(run / "config.yaml").evaluation
    for task in frozen.tasks:
        judgements, stored = frozen.judgements(task), frozen.ranks(task)
        recomputed = rank_dense(*frozen.vectors(task), judgements)
        np.testing.assert_array_equal(as_counts(recomputed), as_counts(stored["model"]))
        for name, value in recall_metrics(stored, judgements, config).items():
            assert metrics["tasks"][task][name] == value


def test_saved_vectors_are_the_towers_own(run):
    from tfsage.embedding import embed_products
    from tfsage.training.run import Run

    opened = Run.open(run)
    vectors = embed_products(opened.load_towers()["product"], opened.data)
    np.testing.assert_allclose(np.load(run / "vectors/test/products_product.npy"), vectors, atol=1e-6)


def test_the_report_is_written(run, metrics):
    page = (run / "report.html").read_text()
    assert f"{metrics['tasks']['search_click']['recall@10']['value']:.3f}" in page
    assert "temperature" in page


def test_missing_features_are_in_the_metrics_the_report_and_on_the_page(run, metrics, prepared):
    """Preparation has counted the same in the tables, cell by cell."""
    counted = json.loads((prepared / "report.json").read_text())["tables"]
    found = {(each["entity_type"], each["feature"]): each for each in metrics["missing_features"]}
    assert {kind for kind, _ in found} == {"product", "pin"}
    assert {feature for kind, feature in found if kind == "product"} == {*TEXT_FIELDS, "image_embeddings"}
    for (kind, feature), each in found.items():
        assert each["missing"] == pytest.approx(counted[f"{kind}s"]["missing"][feature]), feature
        assert each["towers"] == [kind] and not each["absent"]
    assert 0 < found["product", "description"]["missing"] < 1
    assert json.loads((run / "report.json").read_text())["metrics"]["missing_features"] == metrics["missing_features"]
    assert "Missing features" in (run / "report.html").read_text()


def test_what_serving_loses_is_told_step_by_step(run, metrics):
    """Nothing but rounding lies between the run and its exported towers, and a small index is exact."""
    serving = json.loads((run / "serving.json").read_text())
    assert (serving["split"], serving["k"]) == ("test", [10, 100])
    stored = ["stored embeddings (float32)", "index (scann_brute_force)", "filters"]
    steps = {task: [row["step"] for row in rows] for task, rows in serving["tasks"].items()}
    assert steps == {
        "closeup_click": ["exact float32", *stored],
        "search_click": ["exact float32", "SavedModel", *stored],
    }
    for task, rows in serving["tasks"].items():
        whole = metrics["tasks"][task]["distractor_curve"]["model"]["recall@10"][-1]
        for row in rows:
            assert row["recall@10"]["value"] == pytest.approx(whole, abs=0.03)
            assert row["overlap@10"] > 0.97
        assert all(abs(row["lost@10"]["difference"]) < 0.03 for row in rows[1:])
    assert "stored embeddings" in (run / "report.html").read_text()


def test_a_bundle_of_another_run_is_refused(run, metrics, bundles, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    path = other / "vectors" / "test" / "products_product.npy"
    np.save(path, np.load(path)[::-1])
    with pytest.raises(TfsageError, match="the bundle is of another run"):
        measure_bundle(other, bundles / "CURRENT")


def test_dev_does_not_overwrite_test(run, metrics):
    before = (run / "metrics.json").read_bytes()
    assert evaluate_run(run, split="dev")["split"] == "dev"
    assert json.loads((run / "metrics_dev.json").read_text())["split"] == "dev"
    assert (run / "report_dev.html").exists()
    assert (run / "metrics.json").read_bytes() == before
    assert sorted(path.name for path in (run / "vectors").iterdir()) == ["dev", "test"]


def test_an_evaluation_that_was_killed_goes_on_with_its_vectors_and_says_the_same(run, metrics, monkeypatch):
    from tfsage.evaluation import evaluate

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "write_ranks", kill)
        with pytest.raises(KeyboardInterrupt):
            evaluate_run(run)
    assert FrozenVectors(run / "vectors" / "test").ranks("search_click"), "what was there is as it was"
    monkeypatch.setattr(evaluate, "freeze_vectors", kill)
    assert json.loads(json.dumps(evaluate_run(run))) == metrics
    assert sorted(path.name for path in (run / "vectors").iterdir()) == ["dev", "test"]


def test_what_is_told_of_every_pair(run, metrics):
    """Strata by task, the named set of distractors, and the files that a comparison of runs needs."""
    assert metrics["format"] == 2
    assert metrics["distractor_set"]["size"] == 150 and metrics["distractor_set"]["id"].startswith("v1-")
    search, closeup = metrics["tasks"]["search_click"], metrics["tasks"]["closeup_click"]
    assert {"popularity_decile", "cold_start", "novelty", "modality", "query_length"} <= set(search["strata"])
    assert "query_length" not in closeup["strata"]
    for task in (search, closeup):
        assert task["distractor_curve"]["distractors"] == [100, 150, 200, 300]
        for name, groups in task["strata"].items():
            if name != "language":
                assert sum(group["pairs"] for group in groups) == task["pairs"]
    compared = compare_runs(run, run)
    assert set(compared["tasks"]["search_click"]["strata"]) == set(search["strata"])
    assert compared["tasks"]["search_click"]["metrics"]["recall@10"]["a"] == search["recall@10"]["value"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(TfsageError, match="not a run folder"):
        evaluate_run(tmp_path)


def test_nothing_to_evaluate_is_said(run, metrics, monkeypatch):
    from tfsage.evaluation import evaluate

    before = (run / "metrics.json").read_bytes()
    monkeypatch.setattr(evaluate, "load_task_pairs", lambda *_: None)
    with pytest.raises(TfsageError, match="nothing to evaluate"):
        evaluate_run(run)
    assert (run / "metrics.json").read_bytes() == before
    FrozenVectors(run / "vectors" / "test")
