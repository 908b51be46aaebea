import numpy as np
import pytest

from tests.towers.harness import check_tower
from tfsage.config import CompatibilityTowerConfig
from tfsage.towers.compatibility import CompatibilityTower

ROWS = {"itemsage": np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)}


def make_tower(**options) -> CompatibilityTower:
    section = {"kind": "compatibility", "column": "itemsage", "input_dimension": 5, "dimension": 5, **options}
    return CompatibilityTower(CompatibilityTowerConfig(**section))


@pytest.mark.parametrize("options", [{}, {"hidden": (), "dimension": 3}, {"hidden": (8,)}])
def test_harness(options, tmp_path):
    check_tower(make_tower(**options), ROWS, tmp_path)


def test_the_identity_has_no_parameters_and_keeps_the_cosines():
    tower, rows = make_tower(), ROWS["itemsage"]
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(tower.embed(ROWS), expected, atol=1e-6)
    assert tower.variables == []


def test_an_entity_without_the_embedding_is_the_constant_vector():
    nothing = make_tower().embed({"itemsage": np.zeros((1, 5), np.float32)})
    np.testing.assert_allclose(nothing, np.full((1, 5), 5**-0.5), atol=1e-6)


def test_null_empty_and_list_are_identity_linear_and_mlp():
    sizes = []
    for hidden in (None, (), (8,)):
        tower = make_tower(hidden=hidden)
        tower.embed(ROWS)
        sizes.append([tuple(weight.shape) for weight in tower.trainable_variables])
    assert sizes == [[], [(5, 5), (5,)], [(5, 8), (8,), (8, 5), (5,)]]


def test_the_identity_of_another_dimension_is_refused():
    with pytest.raises(ValueError, match="hidden: \\[\\]"):
        make_tower(dimension=3)
