import numpy as np
import pytest

from tfsage.data.permutation import mix64, permute


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 17, 256, 1000, 4097])
def test_every_element_is_visited_once(size):
    image = permute(np.arange(size), size, seed=7)
    assert sorted(image) == list(range(size))


def test_a_point_does_not_depend_on_the_others():
    whole = permute(np.arange(1000), 1000, seed=3)
    assert np.array_equal(permute(np.array([999, 4, 4]), 1000, seed=3), whole[[999, 4, 4]])


def test_seeds_give_unrelated_orders():
    first, second = (permute(np.arange(10_000), 10_000, seed=s) for s in (1, 2))
    assert (first == second).mean() < 0.01
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    assert abs(np.corrcoef(first, np.arange(10_000))[0, 1]) < 0.05


def test_mix64_is_the_splitmix64_finalizer():
    # First outputs of splitmix64 with state 0, whose reference values are public.
    assert int(mix64(np.uint64(0))) == 0xE220A8397B1DCDAF
    assert int(mix64(np.uint64(0x9E3779B97F4A7C15))) == 0x6E789E6AA1B965F4
