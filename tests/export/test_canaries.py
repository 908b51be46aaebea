"""Canaries find a model that computes something else."""

import shutil

import pytest

from export.canaries import compare_canaries, verify_canaries
from tests.export import fakes
from tfsage.bundle import Bundle
from tfsage.errors import TfsageError


def test_a_fresh_process_computes_the_same(made_towers):
    verify_canaries(made_towers)
    assert compare_canaries(made_towers) <= 1e-6


@pytest.mark.parametrize("name", ["query_tower", "product_tower"])
def test_another_models_weights_are_found(towers, tmp_path, name):
    other = fakes.write_towers(tmp_path / "other", seed=2)
    shutil.rmtree(towers.folder / name)
    shutil.copytree(other.folder / name, towers.folder / name)
    with pytest.raises(TfsageError, match=f"{name}.*canaries' vectors differ from the manifest's"):
        compare_canaries(Bundle.open(towers.folder))


def test_the_empty_query_is_among_them(made_towers):
    assert "" in made_towers.manifest.canaries.queries
