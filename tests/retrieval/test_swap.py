"""Hot swap: no request fails, an old cursor says so, and a bundle that no model server serves is refused."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.retrieval.conftest import TITLES
from tests.serving.models import write_bundle
from tfsage.bundle import CURRENT, Bundle, point_current
from tfsage.errors import TfsageError
from tfsage.retrieval import swap
from tfsage.retrieval.loaded import Settings
from tfsage.retrieval.server import RetrievalServer
from tfsage.retrieval.service import RetrievalService
from tfsage.retrieval.swap import Slot
from tfsage.serving.registry import load_registry
from tfsage.serving.server import ModelServer, base_paths


@pytest.fixture
def two(root, tmp_path) -> tuple[Path, str, str]:
    """A folder of bundles of its own: its path, the published bundle's name, and another's."""
    first = Bundle.current(root).folder
    (second,) = (path for path in root.iterdir() if path.is_dir() and path.resolve() != first)
    for folder in (first, second):
        (tmp_path / folder.name).symlink_to(folder)
    point_current(tmp_path, first.name)
    return tmp_path, first.name, second.name


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def test_requests_never_fail_while_bundles_are_swapped(two, monkeypatch):
    root, first, second = two
    monkeypatch.setattr(swap.Follower.__init__, "__defaults__", (0.05,))
    servers = [ModelServer(load_registry(base_paths(Bundle.open(root / name)))) for name in (first, second)]
    addresses = tuple(server.grpc_address for server in servers)
    stop = threading.Event()

    def shop(number: int) -> list[tuple[int, str]]:
        seen = []
        with httpx.Client(base_url=server.url, timeout=20) as http:
            while not stop.is_set():
                body = {"query": TITLES[(number + len(seen)) % len(TITLES)], "k": 3}
                answer = http.post("/search", json=body)
                seen.append((answer.status_code, answer.json().get("bundle")))
        return seen

    with (
        servers[0],
        servers[1],
        RetrievalService(root, Settings(addresses)) as service,
        RetrievalServer(service) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        shoppers = [pool.submit(shop, number) for number in range(4)]
        cursor = httpx.post(f"{server.url}/search", json={"query": "oak desk", "k": 2}).json()["cursor"]
        for turn, name in enumerate((second, first, second), start=1):
            point_current(root, name)
            wait_for(lambda turn=turn: service.follower.swaps == turn)
        stale = httpx.post(f"{server.url}/search", json={"query": "oak desk", "k": 2, "cursor": cursor})
        stop.set()
        answers = [answer for shopper in shoppers for answer in shopper.result(20)]
    assert {status for status, _ in answers} == {200}
    assert {bundle for _, bundle in answers} == {Path(os.readlink(root / name)).name for name in (first, second)}
    assert (stale.status_code, stale.json()["error"]) == (
        410,
        f"cursor: bundle {first} was replaced by {second}; start again without a cursor",
    )


def test_a_bundle_of_a_space_that_nobody_serves_is_refused_until_somebody_does(two, monkeypatch, capsys):
    root, first, second = two
    monkeypatch.setattr(swap.Follower.__init__, "__defaults__", (0.05,))
    monkeypatch.setattr(swap.Follower, "RETRY", 0.05)
    registry = load_registry(base_paths(Bundle.open(root / first)))
    with ModelServer(registry) as server, RetrievalService(root, Settings((server.grpc_address,))) as service:
        point_current(root, second)
        wait_for(lambda: service.follower.refusal)
        assert "serves another space than the index of" in service.follower.refusal
        with service.borrow() as loaded:
            assert loaded.name == first
        point_current(root, first)
        wait_for(lambda: service.follower.refusal is None)
        assert service.follower.swaps == 0
        write_bundle(root, seed=7)
        (Bundle.current(root).index / "vectors.npy").write_bytes(b"")
        wait_for(lambda: service.follower.refusal)
        assert (root / CURRENT).resolve().name != first
        with service.borrow() as loaded:
            assert len(loaded.catalog) == len(TITLES)
    assert capsys.readouterr().err.count("the published bundle is refused") == 2


def test_a_service_does_not_start_on_a_server_of_another_space(two):
    root, _, second = two
    registry = load_registry(base_paths(Bundle.open(root / second)))
    with ModelServer(registry) as server, pytest.raises(TfsageError, match="serves another space"):
        RetrievalService(root, Settings((server.grpc_address,)))


def test_a_replaced_bundle_is_closed_when_its_last_request_has_ended():
    closed = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def close(self):
            closed.append(self.name)

    slot = Slot(Fake("a"))
    with slot.borrow() as outer:
        with slot.borrow() as inner:
            slot.replace(Fake("b"))
            assert (outer.name, inner.name, closed) == ("a", "a", [])
        assert closed == []
        with slot.borrow() as newer:
            assert newer.name == "b"
    assert closed == ["a"]
    slot.replace(Fake("c"))
    assert closed == ["a", "b"]
    slot.close()
    assert closed == ["a", "b", "c"]
