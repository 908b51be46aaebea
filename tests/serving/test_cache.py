"""The cache in this process: bounds in size and time, and keys that no two spaces share."""

import threading

import numpy as np
import pytest

from tfsage.serving.cache import MemoryCache, cache_key
from tfsage.serving.query_text import normalize_query

ONE, TWO = np.ones(4, np.float32), np.full(4, 2, np.float32)


def test_the_least_recently_used_goes_first():
    cache = MemoryCache(capacity=2)
    cache.set_many({"a": ONE, "b": TWO})
    cache.get_many(["a"])
    cache.set_many({"c": ONE})
    kept = cache.get_many(["a", "b", "c"])
    assert [vector is not None for vector in kept] == [True, False, True]
    assert len(cache) == 2


def test_nothing_is_kept_longer_than_its_time():
    now = [0.0]
    cache = MemoryCache(ttl=10, clock=lambda: now[0])
    cache.set_many({"a": ONE})
    now[0] = 9.9
    cache.set_many({"b": ONE})
    np.testing.assert_array_equal(cache.get_many(["a"])[0], ONE)
    now[0] = 10.0
    assert [vector is not None for vector in cache.get_many(["a", "b"])] == [False, True]
    assert len(cache) == 1


def test_what_is_kept_does_not_change_with_the_callers_array():
    cache, row = MemoryCache(), ONE.copy()
    cache.set_many({"a": row})
    row[:] = 7
    np.testing.assert_array_equal(cache.get_many(["a"])[0], ONE)
    cache.delete_many(["a", "never there"])
    assert cache.get_many(["a"]) == [None]


def test_capacity_is_positive():
    with pytest.raises(ValueError, match="capacity"):
        MemoryCache(capacity=0)


def test_many_threads_never_exceed_the_capacity():
    cache = MemoryCache(capacity=10)

    def work(seed: int):
        for key in np.random.default_rng(seed).integers(0, 40, 300):
            cache.set_many({str(key): np.full(4, key, np.float32)})
            (vector,) = cache.get_many([str(key)])
            assert vector is None or vector[0] == key

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 10


def test_keys_tell_spaces_and_texts_apart():
    keys = {cache_key(space, text) for space in ("a" * 12, "b" * 12) for text in ("desk", "Desk", "oak desk")}
    assert len(keys) == 6


@pytest.mark.parametrize(
    ("text", "same"), [("  oak \t desk\n", "oak desk"), ("cafe\u0301", "caf\u00e9"), ("", ""), ("Oak Desk", "Oak Desk")]
)
def test_equal_queries_have_one_form(text, same):
    assert normalize_query(text) == same
    assert normalize_query(same) == same
