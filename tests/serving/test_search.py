"""Search: the right products with titles and scores, and no answer from a server of another space."""

import numpy as np
import pytest

from tests.serving.models import CANARIES, TITLES, write_bundle
from tfsage.bundle import Bundle
from tfsage.errors import TfsageError
from tfsage.serving import connect as connect_module
from tfsage.serving.client import QueryClient, canary_error
from tfsage.serving.registry import load_registry
from tfsage.serving.search import search
from tfsage.serving.server import ModelServer, base_paths, bind


@pytest.fixture(scope="module")
def other_space(tmp_path_factory) -> Bundle:
    """A bundle whose towers were trained differently."""
    return write_bundle(tmp_path_factory.mktemp("other"), seed=2)


@pytest.fixture(scope="module")
def other_server(other_space) -> ModelServer:
    with ModelServer(load_registry(base_paths(other_space))) as server:
        yield server


@pytest.fixture
def nobody_listens(monkeypatch) -> str:
    # Held, so that nobody else comes to listen there.
    with bind("127.0.0.1", 0) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setattr(connect_module, "DEFAULT_ADDRESS", address)
        yield address


def test_the_products_nearest_to_the_query_come_first(root, bundle, served):
    hits = search(root, "walnut desk", k=3, address=served.server.grpc_address)
    with QueryClient(served.server.grpc_address) as client:
        (query,) = client.embed(["walnut desk"])
    vectors = np.load(bundle.index / "vectors.npy")
    order = np.argsort(-(vectors @ query))[:3]
    assert [(hit.product_id, hit.title) for hit in hits] == [(f"p{row}", TITLES[row]) for row in order]
    np.testing.assert_allclose([hit.score for hit in hits], (vectors @ query)[order], atol=1e-6)
    assert hits[0].title == "walnut desk"


def test_a_catalog_smaller_than_k_gives_all_of_it(root, served):
    hits = search(root, "lamp", k=50, address=served.server.grpc_address)
    assert sorted(hit.title for hit in hits) == sorted(TITLES)


def test_a_server_of_another_space_is_refused(root, bundle, other_server):
    with pytest.raises(TfsageError, match=f"{other_server.grpc_address} serves another space than the index of {root}"):
        search(root, "walnut desk", address=other_server.grpc_address)
    with QueryClient(other_server.grpc_address) as client:
        assert canary_error(client, bundle.manifest) > 0.1


def test_the_same_space_has_no_canary_error(bundle, served):
    with QueryClient(served.server.grpc_address) as client:
        assert canary_error(client, bundle.manifest) < 1e-5
        shorter = bundle.manifest.model_copy(
            update={"canaries": bundle.manifest.canaries.model_copy(update={"vectors": [[1.0]] * len(CANARIES)})}
        )
        assert canary_error(client, shorter) == np.inf


def test_without_an_address_the_local_server_of_this_space_is_used(root, served, monkeypatch, capsys):
    monkeypatch.setattr(connect_module, "DEFAULT_ADDRESS", served.server.grpc_address)
    monkeypatch.setattr(connect_module, "load_registry", None)
    assert search(root, "oak desk", k=1)[0].title == "oak desk"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("listens", ["nobody", "another space"])
def test_without_a_server_of_this_space_one_is_started_and_said_so(
    root, listens, nobody_listens, monkeypatch, capsys, request
):
    address = nobody_listens
    if listens == "another space":
        address = request.getfixturevalue("other_server").grpc_address
        monkeypatch.setattr(connect_module, "DEFAULT_ADDRESS", address)
    assert search(root, "oak desk", k=1)[0].title == "oak desk"
    out, err = capsys.readouterr()
    assert err.strip() == f"no model server on {address} serves this bundle: starting one for this search"
    assert out == ""


def test_an_unreachable_address_is_not_replaced(root, nobody_listens):
    with pytest.raises(TfsageError, match="cannot be reached"):
        search(root, "oak desk", address=nobody_listens)


def test_a_bundle_without_a_query_tower(tmp_path):
    bundle = write_bundle(tmp_path, seed=4)
    bundle.update(query_tower=False)
    with pytest.raises(TfsageError, match="has no query tower.*export.query_tower"):
        search(tmp_path, "desk")


def test_an_index_of_another_bundle_is_refused(tmp_path, other_space):
    bundle = write_bundle(tmp_path, seed=5)
    bundle.index.rename(tmp_path / "kept")
    bundle.index.symlink_to(other_space.index)
    with pytest.raises(TfsageError, match="its space is '.*', the manifest's is '.*'"):
        search(tmp_path, "desk")


def test_the_query_is_checked_before_the_bundle_is_opened(tmp_path):
    with pytest.raises(TfsageError, match="the query is empty"):
        search(tmp_path / "missing", "  ")
    with pytest.raises(TfsageError, match="no bundle is published"):
        search(tmp_path / "missing", "desk")
