import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tfsage.config import save_config
from tfsage.data.synthetic import write_shop
from tfsage.data.tables import find_tables
from tfsage.experiments import cell, grid, paper_results, run_experiment
from tfsage.experiments import omnisearchsage as tables
from tfsage.experiments.catalog import EXPERIMENTS
from tfsage.experiments.claims import UNDECIDED
from tfsage.experiments.grid import Size
from tfsage.experiments.omnisearchsage_paper import FROZEN, LEARNED, PINS

NAMES = [name for name in EXPERIMENTS if name.startswith("omnisearchsage/")]


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("name", NAMES)
def test_the_variants_are_those_of_the_paper_and_all_are_asked_the_same(name, size):
    experiment = EXPERIMENTS[name](size)
    configs = {variant.name: experiment.config_of(variant, 1) for variant in experiment.variants}
    assert set(configs) == set(experiment.paper.figures)
    tasks = {each.name for each in experiment.config.tasks}
    for config in configs.values():
        assert config.tasks == experiment.config.tasks
    for claim in experiment.paper.claims:
        assert set(claim.tasks) <= tasks
        for variant in (claim.one, claim.other):
            assert set(claim.tasks) <= set(experiment.paper.figures[variant])


def test_searchsage_trains_against_frozen_embeddings_alone_and_its_counterpart_against_none():
    experiment = tables.omnisearchsage_table_6(Size.DEFAULT)
    every = {task.name for task in experiment.config.tasks}
    for variant, tasks, kinds in (
        ("searchsage", set(FROZEN), {"compatibility"}),
        ("learned_only", every - set(FROZEN), {"unified", "distilbert"}),
    ):
        config = experiment.config_of(next(each for each in experiment.variants if each.name == variant), 1)
        trained = {name for phase in config.training.phases for name in phase.tasks}
        towers = {task.candidate_tower for task in config.tasks if task.name in trained}
        assert trained == tasks
        assert {config.towers[name].kind for name in towers} == kinds


def test_captions_are_judged_by_pins_without_text_alone(tmp_path):
    experiment = tables.omnisearchsage_table_3(Size.SMOKE)
    experiment.write_tables(tmp_path / "tables", None)
    find_tables(tmp_path / "tables", [])
    log = pq.read_table(tmp_path / "tables" / "engagements.parquet")
    assert set(log["entity_type"].to_pylist()) == {"pin"}
    pins = pq.read_table(tmp_path / "tables" / "pins.parquet").to_pylist()
    bare = {pin["pin_id"] for pin in pins if not pin["title"] and not pin["description"]}
    of_split = {part: set() for part in ("train", "dev", "test")}
    queries = {part: set() for part in of_split}
    for row in log.to_pylist():
        of_split[row["split"]].add(row["entity_id"])
        queries[row["split"]].add(row["query_id"])
    assert of_split["dev"] | of_split["test"] <= bare and of_split["test"]
    assert not of_split["train"] <= bare
    assert not queries["train"] & queries["test"]


def test_enrichment_ends_where_the_test_begins(tmp_path):
    experiment = tables.omnisearchsage_table_4(Size.SMOKE)
    experiment.write_tables(tmp_path / "tables", None)
    pins = pq.read_table(tmp_path / "tables" / "pins.parquet")
    assert {"board_titles", "engaged_queries", "captions"} <= set(pins.column_names)
    write_shop(tmp_path / "shop", products=200)
    plain = pq.read_table(tmp_path / "shop" / "pins.parquet")
    assert plain["pin_id"].to_pylist() == pins["pin_id"].to_pylist()
    clear, faint = (np.stack(table["embedding"].to_numpy()) for table in (plain, pins))
    np.testing.assert_allclose(np.linalg.norm(faint, axis=1), 1, atol=1e-5)
    # Noise of length 2 at a right angle leaves 1 / √5 of what was there.
    assert (clear * faint).sum(axis=1).mean() == pytest.approx(5**-0.5, abs=0.02)


def test_captions_from_beginning_to_end(tmp_path, monkeypatch):
    """One cell is trained, in this process; its twin under the other name finds neither more nor less."""
    monkeypatch.setattr(grid, "run_module", lambda module, *words, purpose: cell.main(*map(Path, words[:3]), words[3]))
    out, name = tmp_path / "out", "omnisearchsage/table3"
    run_experiment(name, out, seeds=1, only=["captions"], reference="captions", size=Size.SMOKE)
    experiment = tables.omnisearchsage_table_3(Size.SMOKE)
    twin = out / "cells" / "no_captions" / "seed1"
    shutil.copytree(out / "cells" / "captions" / "seed1", twin)
    save_config(experiment.config_of(experiment.variants[0], 1), twin / "config.yaml")
    results = run_experiment(name, out, seeds=1, size=Size.SMOKE)
    assert set(results["variants"]) == {"captions", "no_captions"} and results["failed"] == {}
    assert set(results["paper"]["queries"]) == set(PINS)
    (claim,) = results["paper"]["claims"]
    assert claim["verdict"] == UNDECIDED
    assert claim["tasks"]["pin_save"]["difference"] == 0
    assert claim["tasks"]["pin_save"]["paper"] == pytest.approx(0.66 / 0.51 - 1)
    assert "| · paper |  | .660 (+29.4 %) |" in (out / "results_dev.md").read_text()


def test_what_the_paper_says_without_figures_is_judged_all_the_same(monkeypatch):
    experiment = tables.omnisearchsage_table_6(Size.SMOKE)
    names = [variant.name for variant in experiment.variants]
    ahead = {"difference": 0.01, "low": 0.0, "high": 0.02, "runs": [0.01]}
    by_task = dict.fromkeys((*LEARNED, *FROZEN), ahead)
    values = {task: {"value": 0.5, "low": 0.4, "high": 0.6, "runs": [0.5]} for task in by_task}
    found = {
        "metric": "recall@10",
        "queries": {},
        "values": dict.fromkeys(names, values),
        "differences": {(one, other): by_task for one in names for other in names},
    }
    monkeypatch.setattr(paper_results, "compare_tasks", lambda *_: found)
    monkeypatch.setattr(paper_results, "_count", lambda *_: 0)
    monkeypatch.setattr(paper_results.Vocabulary, "load", lambda _: SimpleNamespace(size=0))
    data = SimpleNamespace(vocabulary_folder=None)
    judged = paper_results.judge(experiment, dict.fromkeys(names, {1: None}), names[0], data, "dev")
    *by_entity, claims = paper_results.paper_tables(experiment.paper, judged)
    assert [row[1:] for row in claims.rows] == [
        ["−4.4 to +0.0 %", "+1.0 %", "4/4", "holds (one seed)"],
        ["no figures", "+1.0 %", "5/5", "holds (one seed)"],
    ]
    (query,) = [table.rows for table in by_entity if "Query" in table.title]
    assert [row[::2] for row in query] == [
        ["omnisearchsage", ".500"],
        ["· paper", ".780"],
        ["learned_only", ".500 (+1.0 % [+0.0, +2.0])"],
        ["· paper", "no figure"],
    ]
