import json

import pyarrow.parquet as pq
import pytest

from tests.conftest import command
from tfsage.data.synthetic import write_shop
from tfsage.data.tables import find_tables
from tfsage.experiments import omnisearchsage as tables
from tfsage.experiments.catalog import EXPERIMENTS
from tfsage.experiments.grid import Size
from tfsage.experiments.omnisearchsage_paper import FROZEN, PINS

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


def test_searchsage_trains_against_frozen_embeddings_alone():
    experiment = tables.omnisearchsage_table_6(Size.DEFAULT)
    searchsage = experiment.config_of(experiment.variants[1], 1)
    trained = {name for phase in searchsage.training.phases for name in phase.tasks}
    towers = {task.candidate_tower for task in searchsage.tasks if task.name in trained}
    assert trained == set(FROZEN)
    assert {searchsage.towers[name].kind for name in towers} == {"compatibility"}


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


def test_captions_from_beginning_to_end(tmp_path):
    out = tmp_path / "out"
    command(["tfsage.cli", "experiment", "omnisearchsage/table3", "--out", out, "--smoke", "--seeds", 1])
    results = json.loads((out / "results_dev.json").read_text())
    assert set(results["variants"]) == {"captions", "no_captions"} and results["failed"] == {}
    assert set(results["paper"]["queries"]) == set(PINS)
    (claim,) = results["paper"]["claims"]
    assert claim["tasks"]["pin_save"]["paper"] == pytest.approx(0.66 / 0.51 - 1)
