"""Vectors of queries in Redis: shared by every replica of the retrieval service, and trusted with nothing."""

import hashlib
import time
from collections.abc import Sequence

import numpy as np
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tfsage.errors import TfsageError
from tfsage.serving.cache import DEFAULT_TTL
from tfsage.serving.client_metrics import ClientMetrics

REST_SECONDS = 1.0
"""How long a Redis that failed is left alone, so that a dead one costs one timeout a second, not one a query."""

_DIGEST = 8


class RedisCache:
    """Vectors in Redis; every failure is a miss, and counted.

    A value is the digest of its key and its vector, then the vector, float32 little-endian. What has another length,
    another digest or a value that is not finite is rejected, so that a Redis that is damaged or shared with others can
    make a query slower, never wrong.

    Args:
        url: redis://HOST:PORT/DB, or rediss:// for TLS.
        dimension: length of a vector.
        metrics: counts failures and rejected values.
        ttl: seconds that a vector is kept.
        timeout: seconds that one call may take.

    Raises:
        TfsageError: the URL is not one of Redis. (Whether somebody answers there is not asked.)
    """

    def __init__(
        self, url: str, dimension: int, metrics: ClientMetrics, ttl: float = DEFAULT_TTL, timeout: float = 0.1
    ):
        self._dimension, self._ttl, self._metrics = dimension, ttl, metrics
        try:
            self._redis = redis.Redis.from_url(
                url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
            )
        except ValueError as error:
            raise TfsageError(f"{url}: not the address of a Redis ({error}); write redis://HOST:PORT/0") from None
        self._rests_until = 0.0

    def get_many(self, keys: Sequence[str]) -> list[np.ndarray | None]:
        values = self._try(lambda: self._redis.mget(keys)) if keys else []
        if values is None:
            return [None] * len(keys)
        if not isinstance(values, list) or len(values) != len(keys):
            self._metrics.cache_errors.labels("rejected").inc(len(keys))
            return [None] * len(keys)
        return [self._vector(key, value) for key, value in zip(keys, values, strict=True)]

    def set_many(self, vectors: dict[str, np.ndarray]) -> None:
        def send():
            with self._redis.pipeline(transaction=False) as pipeline:
                for key, vector in vectors.items():
                    payload = np.ascontiguousarray(vector, "<f4").tobytes()
                    pipeline.set(key, _digest(key, payload) + payload, px=max(1, int(self._ttl * 1000)))
                pipeline.execute()

        if vectors:
            self._try(send)

    def delete_many(self, keys: Sequence[str]) -> None:
        if keys:
            self._try(lambda: self._redis.delete(*keys))

    def close(self) -> None:
        self._redis.close()

    def _vector(self, key: str, value) -> np.ndarray | None:
        if value is None:
            return None
        if isinstance(value, bytes) and len(value) == _DIGEST + 4 * self._dimension:
            payload = value[_DIGEST:]
            vector = np.frombuffer(payload, "<f4").astype(np.float32)
            if value[:_DIGEST] == _digest(key, payload) and np.isfinite(vector).all():
                return vector
        self._metrics.cache_errors.labels("rejected").inc()
        return None

    def _try(self, call):
        """What `call` gives, or None when Redis fails or failed a moment ago."""
        if time.monotonic() < self._rests_until:
            self._metrics.cache_errors.labels("resting").inc()
            return None
        try:
            return call()
        except Exception:
            # Beside RedisError and OSError: the library fails in any way on an answer that is not in Redis' protocol.
            self._metrics.cache_errors.labels("failed").inc()
            self._rests_until = time.monotonic() + REST_SECONDS
            return None


def _digest(key: str, payload: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + payload, digest_size=_DIGEST).digest()
