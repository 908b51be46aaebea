"""The same global gradient gives the same weights, however it is spread over replicas."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.training.replicated_optimizers import CASES, everything, parts


@pytest.fixture(scope="module")
def alone():
    return everything(tf.distribute.get_strategy())


@pytest.mark.parametrize("count", [2, 4])
def test_replicas_end_with_the_weights_of_one_device(alone, count, tmp_path):
    out = tmp_path / "found.npz"
    command = [sys.executable, "-m", "tests.training.replicated_optimizers", str(count), str(out)]
    subprocess.run(command, cwd=ROOT, check=True)
    found = np.load(out)
    assert sorted(found.files) == sorted(alone)
    for key, expected in alone.items():
        tolerance = 1e-12 if expected.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=tolerance, err_msg=key)


def test_it_matters_that_slices_are_summed_before_they_are_used(alone):
    """Each case ends elsewhere, and the norm that is clipped is not that of the parts."""
    tables = [alone[f"{case} table"] for case in CASES]
    for place, table in enumerate(tables):
        assert all(np.abs(table - other).max() > 1e-3 for other in tables[place + 1 :])
    whole = [np.concatenate([part[name] for part in parts(0)]) for name in ("rows", "values")]
    dense = np.zeros((8, 2))
    np.add.at(dense, *whole)
    assert np.linalg.norm(dense) > 1.1 * np.linalg.norm(whole[1])
