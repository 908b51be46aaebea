"""A query client that is known to be of a bundle's space: on a server that runs, or on one started for it."""

import contextlib
from collections.abc import Iterator, Sequence

from rich.text import Text

from tfsage.bundle import Bundle
from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.serving.cache import VectorCache
from tfsage.serving.client import MODEL, QueryClient, canary_error
from tfsage.serving.client_metrics import ClientMetrics
from tfsage.serving.registry import load_registry
from tfsage.serving.server import ModelServer, base_paths
from tfsage.serving.space_guard import CANARY_TOLERANCE

DEFAULT_ADDRESS = "127.0.0.1:8500"
_PROBE_SECONDS = 2.0


@contextlib.contextmanager
def connect(
    bundle: Bundle,
    addresses: Sequence[str] = (),
    *,
    purpose: str = "this search",
    cache: VectorCache | None = None,
    metrics: ClientMetrics | None = None,
) -> Iterator[QueryClient]:
    """A client of a model server that serves the bundle's space.

    Args:
        bundle: with a query tower.
        addresses: host:port of model servers, of which the first that serves the space is taken. Without any, the one
            on `DEFAULT_ADDRESS` is taken if it does, else one is started in this process, and said so.
        purpose: what a server is started for.
        cache: see `QueryClient`.
        metrics: see `QueryClient`.

    Raises:
        TfsageError: the bundle has no query tower; or no server at the addresses can be reached and serves the space.
    """
    if bundle.query_tower is None:
        raise TfsageError(
            f"{bundle.folder}: this bundle has no query tower, so it cannot answer text; name one under "
            f"export.query_tower in the config and export again"
        )
    with contextlib.ExitStack() as stack:
        address = _first_that_serves(bundle, addresses) if addresses else DEFAULT_ADDRESS
        if not addresses and _problem(bundle, address):
            console.print(
                Text(f"no model server on {DEFAULT_ADDRESS} serves this bundle: starting one for {purpose}"),
                soft_wrap=True,
            )
            registry = load_registry({MODEL: base_paths(bundle)[MODEL]})
            address = stack.enter_context(ModelServer(registry)).grpc_address
        yield stack.enter_context(QueryClient(address, manifest=bundle.manifest, cache=cache, metrics=metrics))


def _first_that_serves(bundle: Bundle, addresses: Sequence[str]) -> str:
    problems = []
    for address in addresses:
        problem = _problem(bundle, address)
        if problem is None:
            return address
        problems.append(problem)
    raise TfsageError("; ".join(problems))


def _problem(bundle: Bundle, address: str) -> str | None:
    """Why the server at `address` cannot embed queries for the bundle, or None if it can."""
    try:
        with QueryClient(address, timeout=_PROBE_SECONDS) as client:
            error = canary_error(client, bundle.manifest)
    except TfsageError as problem:
        return str(problem)
    if error <= CANARY_TOLERANCE:
        return None
    return (
        f"the model server at {address} serves another space than the index of {bundle.folder} (space "
        f"{bundle.manifest.space_id}): vectors of the same queries differ by {error:.2g}; serve this bundle there, "
        f"or search without an address"
    )
