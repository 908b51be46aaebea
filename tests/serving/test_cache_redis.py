"""Redis as a cache: it keeps what it is given; when it lies, rests or dies, that is a miss, and counted."""

import socketserver
import threading

import numpy as np
import pytest
import redis

from tests.serving.redis_server import installed, redis_server
from tfsage.errors import TfsageError
from tfsage.serving import cache_redis
from tfsage.serving.cache_redis import RedisCache
from tfsage.serving.client_metrics import ClientMetrics

VECTORS = {"a": np.arange(4, dtype=np.float32), "b": np.full(4, 0.5, np.float32)}


@pytest.fixture(scope="module")
def url():
    if not installed():
        yield None
        return
    with redis_server() as (address, _):
        yield address


def cache_at(url: str, **options) -> RedisCache:
    # A busy machine may keep a good Redis from answering within the usual tenth of a second.
    return RedisCache(url, 4, ClientMetrics(), **{"timeout": 10.0} | options)


def errors(cache: RedisCache, kind: str) -> float:
    return cache._metrics.count("tfsage_query_cache_errors", kind=kind)


def test_vectors_come_back_and_are_forgotten_in_time(url):
    if url is None:
        return
    cache = cache_at(url, ttl=100.0)
    cache.set_many(VECTORS)
    got = cache.get_many(["b", "missing", "a"])
    np.testing.assert_array_equal(got[0], VECTORS["b"])
    assert got[1] is None
    np.testing.assert_array_equal(got[2], VECTORS["a"])
    assert 99_000 < redis.Redis.from_url(url).pttl("a") <= 100_000
    cache.delete_many(["a"])
    assert cache.get_many(["a"]) == [None]
    assert cache.get_many([]) == []


def test_values_that_were_changed_are_rejected(url):
    if url is None:
        return
    cache, raw = cache_at(url), redis.Redis.from_url(url)
    cache.set_many(VECTORS)
    good = raw.get("a")
    nan = np.full(4, np.nan, np.float32).tobytes()
    lies = [good[:-1], good + b"\0", b"", b"garbage", good[:-1] + bytes([good[-1] ^ 1]), raw.get("b")]
    lies.append(cache_redis._digest("a", nan) + nan)
    for lie in lies:
        raw.set("a", lie)
        assert cache.get_many(["a"]) == [None], lie
    assert errors(cache, "rejected") == len(lies)
    raw.delete("a")
    raw.lpush("a", "a list")
    assert cache.get_many(["a", "b"])[0] is None


def test_a_redis_that_dies_is_left_alone_for_a_while(monkeypatch):
    if not installed():
        return
    monkeypatch.setattr(cache_redis, "REST_SECONDS", 60.0)
    with redis_server() as (url, process):
        cache = cache_at(url)
        cache.set_many(VECTORS)
        process.kill()
        process.wait(10)
        for _ in range(3):
            assert cache.get_many(["a"]) == [None]
        cache.set_many(VECTORS)
    assert (errors(cache, "failed"), errors(cache, "resting")) == (1, 3)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1\r\n$-1\r\n", b"*-1\r\n", b":5\r\n", b""])
def test_something_else_that_listens_on_the_port(answer):
    class Stranger(socketserver.BaseRequestHandler):
        def handle(self):
            while self.request.recv(4096):
                self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stranger) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cache = cache_at(f"redis://127.0.0.1:{server.server_address[1]}/0", timeout=0.1)
        assert cache.get_many(["a", "b"]) == [None, None]
        assert errors(cache, "failed") + errors(cache, "rejected") >= 1
        cache.set_many(VECTORS)
        cache.close()
        server.shutdown()


def test_an_address_that_is_none():
    with pytest.raises(TfsageError, match="http://x: not the address of a Redis"):
        cache_at("http://x")
