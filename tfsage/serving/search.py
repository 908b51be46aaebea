"""Search: a text goes over gRPC to the query tower, its vector to the index, and products come out."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.text import Text

from tfsage.bundle import Bundle
from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.serving.client import MODEL, QueryClient, canary_error
from tfsage.serving.query_text import check_query
from tfsage.serving.registry import load_registry
from tfsage.serving.server import ModelServer, base_paths
from tfsage.serving.space_guard import CANARY_TOLERANCE

DEFAULT_ADDRESS = "127.0.0.1:8500"
_PROBE_SECONDS = 2.0


class Hit(NamedTuple):
    """One product found. score: cosine of the angle between query and product."""

    product_id: str | int
    title: str
    score: float


def search(root: str | Path, text: str, k: int = 10, address: str | None = None) -> list[Hit]:
    """The products of the published bundle that are nearest to a text query, best first.

    Args:
        root: the folder of bundles.
        text: the query.
        k: how many; fewer are returned when the catalog is smaller.
        address: host:port of a model server. None takes the one on `DEFAULT_ADDRESS` if it serves this bundle's
            space, else starts one in this process for the call, and says so.

    Raises:
        TfsageError: the query is not fit to search for; nothing is published; the bundle has no query tower or a
            damaged index; the server cannot be reached or serves another space.
    """
    check_query(text)
    bundle = Bundle.current(root)
    if bundle.query_tower is None:
        raise TfsageError(
            f"{bundle.folder}: this bundle has no query tower, so it cannot answer text; name one under "
            f"export.query_tower in the config and export again"
        )
    index = bundle.load_index()
    with _client(bundle, address) as client:
        vectors = client.embed([text])
    rows, scores = index.search(vectors, k)
    found = rows[0] >= 0
    products = index.id_map.take(rows[0][found]).to_pylist()
    return [
        Hit(product["product_id"], product["title"] or "", float(score))
        for product, score in zip(products, scores[0][found], strict=True)
    ]


@contextlib.contextmanager
def _client(bundle: Bundle, address: str | None) -> Iterator[QueryClient]:
    """A client of a server that is known to serve the bundle's space."""
    if address is not None:
        with QueryClient(address) as client:
            _require_space(client, bundle)
            yield client
    elif _serves(DEFAULT_ADDRESS, bundle):
        with QueryClient(DEFAULT_ADDRESS) as client:
            yield client
    else:
        console.print(
            Text(f"no model server on {DEFAULT_ADDRESS} serves this bundle: starting one for this search"),
            soft_wrap=True,
        )
        registry = load_registry({MODEL: base_paths(bundle)[MODEL]})
        with ModelServer(registry) as server, QueryClient(server.grpc_address) as client:
            yield client


def _require_space(client: QueryClient, bundle: Bundle) -> None:
    error = canary_error(client, bundle.manifest)
    if not error <= CANARY_TOLERANCE:
        raise TfsageError(
            f"the model server at {client.address} serves another space than the index of {bundle.folder} (space "
            f"{bundle.manifest.space_id}): vectors of the same queries differ by {error:.2g}; serve this bundle there, "
            f"or search without an address"
        )


def _serves(address: str, bundle: Bundle) -> bool:
    with QueryClient(address, timeout=_PROBE_SECONDS) as client:
        try:
            return canary_error(client, bundle.manifest) <= CANARY_TOLERANCE
        except TfsageError:
            return False
