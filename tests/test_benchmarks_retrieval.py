"""The benchmarks of retrieval run, and count what they say they count."""

import functools
import json

import numpy as np
import pytest

from benchmarks import published, query_cache, retrieval, soak


@pytest.fixture(scope="module", autouse=True)
def one_shop(tmp_path_factory):
    """The synthetic shop and its vocabulary are made once for all of them, indexes without a process of their own."""
    scratch, make, index = tmp_path_factory.mktemp("shop"), published.query_tower, published.build_index
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "query_tower", functools.cache(lambda _, seed: make(scratch, seed)))
        patch.setattr(published, "build_index", functools.partial(index, kind="numpy"))
        yield


@pytest.mark.parametrize(
    ("module", "against"),
    [
        (query_cache, "every request reaches the model"),
        (retrieval, "Predict over gRPC"),
        (soak, "requests outside restarts"),
    ],
    ids=["query_cache", "retrieval", "soak"],
)
def test_each_ends_with_one_json_object(module, against, capsys):
    module.main(smoke=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["name"], result["against"]) == (module.__name__.split(".")[-1], against)
    assert result["ratio"] > 0
    assert result["rounds"] >= 2


def test_zipf_asks_for_a_rank_in_proportion_to_its_inverse():
    counts = np.bincount(query_cache.zipf(100_000, 100), minlength=100)
    expected = 100_000 / np.arange(1, 101) / (1 / np.arange(1, 101)).sum()
    np.testing.assert_allclose(counts[:10], expected[:10], rtol=0.05)
    assert (query_cache.zipf(50, 10) == query_cache.zipf(50, 10)).all()


def test_only_failures_while_a_server_was_away_are_forgiven():
    sent = [soak.Sent(0.0, 1.0, 200), soak.Sent(5.5, 5.7, 503), soak.Sent(8.0, 8.5, 200)]
    soak._report(sent, [(5.0, 6.0)], [100.0, 101.0], swaps=1, smoke=False)
    with pytest.raises(SystemExit, match=r"statuses \[503\]"):
        soak._report(sent, [(6.0, 7.0)], [100.0, 101.0], swaps=1, smoke=False)
    with pytest.raises(SystemExit, match="0 swaps"):
        soak._report(sent, [(5.0, 6.0)], [100.0, 101.0], swaps=0, smoke=False)
    with pytest.raises(SystemExit, match=r"memory \+6"):
        soak._report(sent, [(5.0, 6.0)], [100.0, 106.0], swaps=1, smoke=False)
