import copy
import re

import pytest
import yaml
from pydantic import ValidationError

from tests.conftest import ROOT, TINY
from tests.omni import OMNI
from tfsage.config import Config, load_config, save_config, with_seed
from tfsage.errors import TfsageError


def write(tmp_path, change):
    raw = copy.deepcopy(TINY)
    change(raw)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(raw))
    return file


PROBLEMS = {
    "training.batch_sise: unknown key": lambda raw: raw["training"].update(batch_sise=3),
    "training.batch_size": lambda raw: raw["training"].update(batch_size=-1),
    "no tower named 'txt'": lambda raw: raw["tasks"][1].update(query_tower="txt"),
    "dimensions 128 and 256": lambda raw: raw["towers"]["text"].update(dimension=128),
    "task names must be unique": lambda raw: raw["tasks"].append(raw["tasks"][0]),
    "needs `surface` and `actions`": lambda raw: raw["tasks"][0].pop("actions"),
    "no task named ['nothing']": lambda raw: raw["training"].update(phases=[{"steps": 1, "tasks": ["nothing"]}]),
    "3 heads cannot share a width of 32": lambda raw: raw["towers"]["product"].update(heads=3),
}


@pytest.mark.parametrize("message", PROBLEMS)
def test_each_problem_is_named(tmp_path, message):
    file = write(tmp_path, PROBLEMS[message])
    with pytest.raises(TfsageError) as caught:
        load_config(file)
    assert message in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.parametrize("text", ["towers: [", "just words", "\xff"])
def test_what_is_no_config_is_one_error(tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(TfsageError, match="config.yaml"):
        load_config(file)


def test_yaml_tags_run_nothing(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("towers: !!python/object/apply:os.system ['touch harm']")
    with pytest.raises(TfsageError, match="not a YAML file"):
        load_config(file)


def test_a_saved_config_is_the_same_config(tmp_path, tiny_config):
    save_config(tiny_config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == tiny_config


def test_another_seed_changes_the_order_and_the_start_but_nothing_else():
    config = Config.model_validate(TINY)
    other = with_seed(config, 5)
    assert other.training.seed == 5
    assert other.towers["product"].hash_embedding.seed != config.towers["product"].hash_embedding.seed
    assert with_seed(other, config.training.seed) == config


def test_every_shipped_config_is_valid():
    files = sorted((ROOT / "configs").glob("*.yaml"))
    assert len(files) >= 4 and all(load_config(file) for file in files)


def omni(change):
    raw = copy.deepcopy(OMNI)
    change(raw)
    return raw


SHARED_PROBLEMS = {
    "pairs_of names 'nothing'": lambda raw: raw["tasks"][1].update(pairs_of="nothing"),
    "so surface must be the same": lambda raw: raw["tasks"][1].update(surface="offsite"),
    "has the pairs and the candidates of pin": lambda raw: raw["tasks"][1].update(candidate_tower="unified"),
    "embeds queries": lambda raw: raw["tasks"][0].update(candidate_tower="text"),
    "embeds products and pins": lambda raw: raw["tasks"][5].update(candidate_tower="unified"),
    "a tower is called 'unified_pin' already": lambda raw: (
        raw["towers"].update(unified_pin=raw["towers"]["images"]),
        raw["tasks"].append({**raw["tasks"][2], "name": "other", "candidate_tower": "unified_pin"}),
    ),
    "makes pairs of products": lambda raw: raw["tasks"][5].update(source="catalog_text"),
}


@pytest.mark.parametrize("message", SHARED_PROBLEMS)
def test_tasks_of_several_entity_types_must_fit_together(message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        Config.model_validate(omni(SHARED_PROBLEMS[message]))


def test_a_task_takes_over_whose_pairs_it_shares(tmp_path):
    config = Config.model_validate(OMNI)
    task = next(task for task in config.tasks if task.name == "pin_frozen")
    assert (task.surface, task.entity_type, task.actions) == ("search", "pin", {"save": 1, "long_click": 2})
    assert (task.pool, config.tasks[0].pool, config.tasks[2].pool) == ("pinsage_pin", "unified_pin", "unified")
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config
