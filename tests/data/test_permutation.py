import numpy as np
import pytest

from tfsage.data.permutation import mix64, permute, unpermute


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


@pytest.mark.parametrize("size", [1, 2, 5, 256, 257, 4097])
def test_unpermute_is_the_inverse(size):
    index = np.arange(size)
    assert np.array_equal(unpermute(permute(index, size, seed=7), size, seed=7), index)


def test_every_index_may_have_a_size_and_a_seed_of_its_own():
    sizes, seeds = np.array([1, 2, 17, 300, 256, 10**12]), np.array([3, 2**64 - 1, 3, 4, 5, 6], np.uint64)
    index = np.array([0, 1, 16, 123, 0, 10**12 - 1])
    together = permute(index, sizes, seeds)
    for place in range(6):
        alone = permute(index[place : place + 1], int(sizes[place]), int(seeds[place]))
        assert together[place] == alone[0]
    assert np.array_equal(unpermute(together, sizes, seeds), index)


def test_mix64_is_the_splitmix64_finalizer():
    # First outputs of splitmix64 with state 0, whose reference values are public.
    assert int(mix64(np.uint64(0))) == 0xE220A8397B1DCDAF
    assert int(mix64(np.uint64(0x9E3779B97F4A7C15))) == 0x6E789E6AA1B965F4
