"""One device ≡ several replicas ≡ chunks of any size, for loss and gradient."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.training import toy_engine
from tests.training.toy_engine import SPLITS, run

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture(scope="module")
def alone():
    """Loss and gradients of one device, whole; by dtype and form."""
    one = tf.distribute.get_strategy()
    cases = [("float64", form) for form in toy_engine.FORMS] + [("float32", "paper")]
    return {(dtype, form): run(one, form, dtype, SPLITS[1]["whole"], None) for dtype, form in cases}


@pytest.mark.parametrize("count", [2, 4])
def test_replicas_agree_with_one_device(alone, count, tmp_path):
    out = tmp_path / "found.npz"
    subprocess.run([sys.executable, "-m", "tests.training.toy_engine", str(count), str(out)], cwd=ROOT, check=True)
    found = np.load(out)
    for key in found.files:
        dtype, form, _, place, _ = key.split()
        expected = alone[dtype, form][int(place)]
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=TOLERANCE[dtype], err_msg=key)
    assert len(found.files) == 5 * len(toy_engine.cases(count))


@pytest.mark.parametrize("chunk_size", [1, 3, 5, 100])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_chunks_agree_with_the_whole(alone, chunk_size, dtype):
    found = run(tf.distribute.get_strategy(), "paper", dtype, [8], chunk_size)
    for value, expected in zip(found, alone[dtype, "paper"], strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=TOLERANCE[dtype])


def test_the_toy_is_no_easy_one(alone):
    """Every gradient is far above the tolerances, so that a missing part of it would show."""
    for key, values in alone.items():
        assert all(np.abs(value).max() > 1e-3 for value in values), key
