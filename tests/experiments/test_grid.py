import json
from types import SimpleNamespace

import pytest

from tfsage.config import Config, save_config
from tfsage.errors import TfsageError
from tfsage.experiments import grid
from tfsage.experiments.grid import Experiment, Size, Variant, cells_of, prepare_experiment, run_cells

CONFIG = Config.model_validate(
    {
        "towers": {"product": {"kind": "itemsage"}, "text": {"kind": "ngram"}},
        "tasks": [{"name": "t", "source": "catalog_text", "query_tower": "text"}],
        "evaluation": {"k": [5, 20]},
    }
)
VARIANTS = (
    Variant("plain", "as it is", {}),
    Variant(
        "other", "colder", {"loss": {"temperature": 0.2, "frequency": {"width": 7}}, "training": {"batch_size": 3}}
    ),
)


def write_tables(out, source):
    out.mkdir()
    (out / "source").write_text(str(source))


EXPERIMENT = Experiment("family/name", "what it is for", CONFIG, VARIANTS, 3, "recall", write_tables)


@pytest.fixture
def trained(monkeypatch):
    """Replaces training by a note of (variant, seed, temperature); `broken` cells fail."""
    state = SimpleNamespace(cells=[], broken=set())

    def run_cell(config, data, folder, split):
        state.cells.append((folder.parent.name, config.training.seed, config.loss.temperature))
        folder.mkdir(parents=True, exist_ok=True)
        save_config(config, folder / "config.yaml")
        if (folder.parent.name, config.training.seed) in state.broken:
            raise TfsageError("it failed; its last words were:\n  the towers fell")
        (folder / f"metrics_{split}.json").write_text(json.dumps({"tasks": {"t": {"recall@5": {"value": 0.25}}}}))

    monkeypatch.setattr(grid, "run_cell", run_cell)
    return state


def run(out, seeds=2):
    return run_cells(EXPERIMENT, cells_of(out, VARIANTS, seeds), out / "data", "dev")


def test_all_variants_come_before_the_next_seed(trained, tmp_path):
    run(tmp_path)
    assert trained.cells == [("plain", 1, 0.07), ("other", 1, 0.2), ("plain", 2, 0.07), ("other", 2, 0.2)]


def test_a_cell_differs_by_its_changes_and_seed_alone():
    plain, other = (EXPERIMENT.config_of(variant, 4) for variant in VARIANTS)
    raw = plain.model_dump()
    raw["loss"]["temperature"], raw["loss"]["frequency"]["width"], raw["training"]["batch_size"] = 0.2, 7, 3
    assert other == Config.model_validate(raw)
    assert plain.training.seed == 4 and plain.loss == CONFIG.loss


def test_a_section_of_another_kind_replaces_the_whole():
    changes = {"towers": {"product": {"kind": "sum", "images": {"slots": 3}}}}
    product = EXPERIMENT.config_of(Variant("sum", "", changes), 1).towers["product"]
    assert (product.kind, product.images.slots) == ("sum", 3)
    same = {"towers": {"product": {"kind": "itemsage", "layers": 2}}}
    changed = EXPERIMENT.config_of(Variant("deeper", "", same), 1).towers["product"]
    assert changed == CONFIG.towers["product"].model_copy(update={"layers": 2})


def test_finished_cells_are_left_alone(trained, tmp_path, capsys):
    run(tmp_path, seeds=1)
    trained.cells.clear()
    run(tmp_path, seeds=2)
    assert [cell[:2] for cell in trained.cells] == [("plain", 2), ("other", 2)]
    assert "2 of 4 cells are done" in capsys.readouterr().err


def test_there_is_one_line_for_each_cell(trained, tmp_path, capsys):
    run(tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("2/4 other seed 1 · recall@5 0.2500 · ")


def test_a_cell_that_fails_does_not_stop_the_rest_and_is_tried_again(trained, tmp_path, capsys):
    trained.broken.add(("plain", 1))
    assert run(tmp_path) == {"plain/seed1": "the towers fell"}
    assert len(trained.cells) == 4
    assert "1/4 plain seed 1 · failed: the towers fell" in capsys.readouterr().err
    trained.broken.clear()
    trained.cells.clear()
    assert run(tmp_path) == {}
    assert trained.cells == [("plain", 1, 0.07)]


def test_cells_of_another_version_of_the_experiment_are_refused(trained, tmp_path):
    run(tmp_path)
    changed = EXPERIMENT._replace(variants=(VARIANTS[0], VARIANTS[1]._replace(changes={"loss": {"temperature": 0.3}})))
    with pytest.raises(TfsageError, match="other/seed1: was trained with another config"):
        run_cells(changed, cells_of(tmp_path, changed.variants, 2), tmp_path / "data", "dev")


def test_data_are_made_once(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(grid, "prepare", lambda tables, config, out: (made.append(config), out.mkdir()))
    for _ in range(2):
        data = prepare_experiment(EXPERIMENT, tmp_path / "out", "SOURCE", Size.DEFAULT)
    assert made == [CONFIG] and data == tmp_path / "out" / "data"
    assert (tmp_path / "out" / "tables" / "source").read_text() == "SOURCE"


@pytest.mark.parametrize(("name", "size"), [("family/name", Size.SMOKE), ("family/second", Size.DEFAULT)])
def test_a_folder_of_another_experiment_is_refused(monkeypatch, tmp_path, name, size):
    monkeypatch.setattr(grid, "prepare", lambda tables, config, out: out.mkdir())
    prepare_experiment(EXPERIMENT, tmp_path / "out", None, Size.DEFAULT)
    with pytest.raises(TfsageError, match="choose another --out folder"):
        prepare_experiment(EXPERIMENT._replace(name=name), tmp_path / "out", None, size)
