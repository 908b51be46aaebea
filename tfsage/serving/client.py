"""A client for the query tower behind any TensorFlow Serving, stock or embedded: cache first, then the model."""

import random
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from typing import NamedTuple

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfsage.bundle import Manifest
from tfsage.errors import TfsageError
from tfsage.serving.cache import VectorCache, cache_key
from tfsage.serving.client_metrics import ClientMetrics
from tfsage.serving.query_text import normalize_query
from tfsage.serving.single_flight import SingleFlight
from tfsage.serving.space_guard import SpaceGuard
from tfsage.serving.tensors import decode

MODEL = "query_tower"
INPUT, OUTPUT = "query", "embedding"

_ATTEMPTS = 4
_FIRST_PAUSE = 0.05
_CHANNEL_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    # A server that restarts is found again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class SpaceChanged(TfsageError):
    """The model server serves another space than the client was made for."""


class Embedded(NamedTuple):
    """Vectors of queries, float32 [n, dimension], and for each whether it came without a call of its own."""

    vectors: np.ndarray
    cached: list[bool]


def embed_request(texts: Sequence[str]) -> predict_pb2.PredictRequest:
    """The Predict request that embeds `texts` with the query tower."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    tensor = request.inputs[INPUT]
    tensor.dtype = types_pb2.DT_STRING
    tensor.tensor_shape.dim.add(size=len(texts))
    tensor.string_val.extend(text.encode("utf-8") for text in texts)
    return request


class QueryClient:
    """Embeds query texts over gRPC; close it, or use it as a context manager. Safe to use from many threads.

    With a cache, a query is looked up first; what is missing goes into one Predict call and is written back, and
    queries that are equal at the same time share one computation. The cache is keyed by the manifest's space. Once a
    second a canary of the manifest rides along with a call: if its vector is not the manifest's, the server has moved
    to another space, whatever was cached since the last good check is forgotten, and the call fails.

    Args:
        address: host:port of the model server.
        timeout: seconds a call may take, connecting and retries included. Only UNAVAILABLE is tried again.
        manifest: of the bundle whose space the server must serve; None asks nothing of the server.
        cache: keeps vectors; needs the manifest.
        metrics: counters to share with others; its own by default.
    """

    def __init__(
        self,
        address: str,
        timeout: float = 10.0,
        *,
        manifest: Manifest | None = None,
        cache: VectorCache | None = None,
        metrics: ClientMetrics | None = None,
    ):
        if cache is not None and manifest is None:
            raise ValueError("a cache needs the manifest, whose space its keys belong to")
        self.address, self._timeout = address, timeout
        self.metrics = metrics or ClientMetrics()
        self._manifest, self._cache = manifest, cache
        self._guard = None if manifest is None else SpaceGuard(manifest.canaries)
        self._flights = SingleFlight()
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embeds texts, normalised by `normalize_query`.

        Returns:
            float32 [len(texts), dimension], unit vectors, in the order of `texts`.

        Raises:
            TfsageError: the server cannot be reached, is too slow, serves no query tower or (with a manifest) another
                space, or refuses the texts; or what it sends is not one finite vector per text.
        """
        return self.lookup(texts).vectors

    def lookup(self, texts: Sequence[str]) -> Embedded:
        """As `embed`, and says which queries the model did not have to compute for this call."""
        texts = [normalize_query(text) for text in texts]
        if self._cache is None or not texts:
            self.metrics.queries.labels("miss").inc(len(texts))
            return Embedded(self._checked(texts), [False] * len(texts))
        keys = [cache_key(self._manifest.space_id, text) for text in texts]
        distinct = dict(zip(keys, texts, strict=True))
        mine, others = self._flights.claim(list(distinct))
        found, computed = self._compute({key: distinct[key] for key in mine})
        for key, flight in others.items():
            try:
                found[key] = flight.result(self._timeout)
            except FutureTimeout:
                raise self._too_slow() from None
        for result, count in (("hit", len(mine) - len(computed)), ("shared", len(others)), ("miss", len(computed))):
            self.metrics.queries.labels(result).inc(count)
        return Embedded(np.stack([found[key] for key in keys]), [key not in computed for key in keys])

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Embeds texts exactly as they are, in one Predict call: no cache. Result and errors are those of `embed`."""
        response = self._call(embed_request(texts))
        try:
            vectors = decode(response.outputs[OUTPUT])
        except ValueError as error:
            raise self._unusable(f"sent an undecodable tensor ({error})") from None
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(texts):
            raise self._unusable(f"sent {vectors.dtype} {list(vectors.shape)} for {len(texts)} queries")
        if not np.isfinite(vectors).all():
            raise self._unusable("sent NaN or infinite values")
        return vectors

    def close(self) -> None:
        self._forget()
        self._channel.close()

    def __enter__(self) -> "QueryClient":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _compute(self, texts: dict[str, str]) -> tuple[dict[str, np.ndarray], set[str]]:
        """Vectors of claimed keys, and which of them were not in the cache; lands the keys, whatever happens."""
        try:
            cached = zip(texts, self._cache.get_many(list(texts)), strict=True)
            found = {key: vector for key, vector in cached if vector is not None}
            missing = [key for key in texts if key not in found]
            if missing:
                made = dict(zip(missing, self._checked([texts[key] for key in missing]), strict=True))
                self._cache.set_many(made)
                self._guard.cached(made)
                found |= made
        except BaseException as error:
            self._flights.land(list(texts), error)
            raise
        self._flights.land(list(texts), found)
        return found, set(missing)

    def _checked(self, texts: list[str]) -> np.ndarray:
        """As `predict`; when it is time, with a canary whose vector must be the manifest's."""
        keys = None if self._guard is None else self._guard.begin()
        if keys is None:
            return self.predict(texts)
        try:
            vectors = self.predict([*texts, self._guard.query])
        except TfsageError:
            self._guard.retry()
            raise
        if not self._guard.judge(vectors[-1], keys):
            self._forget()
            raise SpaceChanged(
                f"the model server at {self.address} does not serve space {self._manifest.space_id} (any more); "
                f"serve that bundle's query tower there"
            )
        return vectors[:-1]

    def _forget(self) -> None:
        if self._cache is not None:
            self._cache.delete_many(self._guard.take_unverified())

    def _call(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        deadline = time.monotonic() + self._timeout
        with self.metrics.predict_seconds.time():
            for attempt in range(_ATTEMPTS):
                try:
                    return self._stub.Predict(request, timeout=max(1e-3, deadline - time.monotonic()))
                except grpc.RpcError as error:
                    pause = _FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.0)
                    too_late = time.monotonic() + pause >= deadline
                    if error.code() != grpc.StatusCode.UNAVAILABLE or attempt == _ATTEMPTS - 1 or too_late:
                        raise self._explained(error) from None
                self.metrics.retries.inc()
                time.sleep(pause)

    def _explained(self, error: grpc.RpcError) -> TfsageError:
        code, server = error.code(), f"the model server at {self.address}"
        if code == grpc.StatusCode.UNAVAILABLE:
            return TfsageError(f"{server} cannot be reached; start it (tfsage serve), or check the address")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return self._too_slow()
        if code == grpc.StatusCode.NOT_FOUND:
            return TfsageError(f"{server} serves no model {MODEL!r} ({error.details()}); check the address")
        return TfsageError(f"{server} refused the query: {code.name}: {error.details()}")

    def _too_slow(self) -> TfsageError:
        return TfsageError(
            f"the model server at {self.address} did not answer within {self._timeout:g} s; "
            f"see whether it is overloaded"
        )

    def _unusable(self, what: str) -> TfsageError:
        return TfsageError(f"the model server at {self.address} {what}; is its {MODEL!r} a tfsage query tower?")


def canary_error(client: QueryClient, manifest: Manifest) -> float:
    """How far the server's vectors of the manifest's canary queries are from the manifest's; inf if incomparable.

    Raises:
        TfsageError: the server does not answer with vectors.
    """
    vectors = client.predict(manifest.canaries.queries)
    expected = np.array(manifest.canaries.vectors, np.float32)
    return float(np.abs(vectors - expected).max(initial=0.0)) if vectors.shape == expected.shape else np.inf
