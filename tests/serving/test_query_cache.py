"""The query client with a cache: each query reaches the model once, whatever the cache does, and only in its space."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.serving.models import write_bundle
from tests.serving.redis_server import installed, redis_server
from tests.serving.test_client import answering, response
from tfsage.bundle import Canaries, Manifest
from tfsage.errors import TfsageError
from tfsage.serving import QueryClient, space_guard
from tfsage.serving.cache import MemoryCache, cache_key
from tfsage.serving.cache_redis import RedisCache
from tfsage.serving.client import SpaceChanged
from tfsage.serving.client_metrics import ClientMetrics

CANARY = "canary"


class Model:
    """A query tower that counts: the vector of a text is its length and its first letter, times `sign`."""

    def __init__(self):
        self.texts, self.calls, self.failures, self.sign = [], 0, [], 1.0
        self.gate = threading.Event()
        self.gate.set()

    def vectors(self, texts: list[str]) -> np.ndarray:
        return self.sign * np.array([[len(text), ord(text[0])] for text in texts], np.float32)

    def __call__(self, request, context):
        self.calls += 1
        if self.failures:
            context.abort(self.failures.pop(0), "not now")
        texts = [value.decode() for value in request.inputs["query"].string_val]
        self.texts += texts
        self.gate.wait(10)
        return response(tf.make_tensor_proto(self.vectors(texts)))


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def manifest(model, bundle) -> Manifest:
    canaries = Canaries(queries=[CANARY], vectors=model.vectors([CANARY]).tolist())
    return bundle.manifest.model_copy(update={"canaries": canaries, "dimension": 2})


@pytest.fixture
def address(model):
    with answering(model) as address:
        yield address


def test_each_query_reaches_the_model_once_in_one_call(model, manifest, address):
    with QueryClient(address, manifest=manifest, cache=MemoryCache()) as client:
        first = client.lookup(["oak desk", "lamp", " oak  desk "])
        again = client.lookup(["lamp", "rug", "oak desk"])
    assert model.texts == ["oak desk", "lamp", CANARY, "rug"]
    assert model.calls == 2
    np.testing.assert_array_equal(first.vectors, model.vectors(["oak desk", "lamp", "oak desk"]))
    np.testing.assert_array_equal(again.vectors, model.vectors(["lamp", "rug", "oak desk"]))
    assert (first.cached, again.cached) == ([False] * 3, [True, False, True])
    assert client.metrics.hit_rate == 2 / 5
    assert client.metrics.registry.get_sample_value("tfsage_query_predict_seconds_count") == 2


def test_equal_queries_at_the_same_time_are_one(model, manifest, address):
    model.gate.clear()
    with QueryClient(address, manifest=manifest, cache=MemoryCache()) as client, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.embed, ["oak desk"]) for _ in range(8)]
        while len(client._flights._flights) < 1 or sum(future.running() for future in answers) < 8:
            pass
        model.gate.set()
        for answer in answers:
            np.testing.assert_array_equal(answer.result(10), model.vectors(["oak desk"]))
    assert model.texts.count("oak desk") == 1


def test_a_failure_reaches_everybody_who_waits_and_nobody_later(model, manifest, address):
    model.failures = [grpc.StatusCode.INVALID_ARGUMENT]
    with QueryClient(address, manifest=manifest, cache=MemoryCache()) as client:
        with pytest.raises(TfsageError, match="refused the query: INVALID_ARGUMENT"):
            client.embed(["oak desk"])
        np.testing.assert_array_equal(client.embed(["oak desk"]), model.vectors(["oak desk"]))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_only_a_server_that_is_away_is_asked_again(model, address, code):
    model.failures = [code, code]
    with QueryClient(address) as client:
        if code == grpc.StatusCode.UNAVAILABLE:
            client.embed(["desk"])
        else:
            with pytest.raises(TfsageError, match="RESOURCE_EXHAUSTED"):
                client.embed(["desk"])
    assert (model.calls, client.metrics.count("tfsage_query_retries")) == ((3, 2) if not model.failures else (1, 0))


def test_a_new_space_is_never_answered_from_an_old_cache(model, manifest, address):
    cache = MemoryCache()
    with QueryClient(address, manifest=manifest, cache=cache) as client:
        client.embed(["desk"])
        client._guard.take_unverified()
    model.sign = -1.0
    canaries = Canaries(queries=[CANARY], vectors=model.vectors([CANARY]).tolist())
    newer = manifest.model_copy(update={"space_id": "f" * 12, "canaries": canaries})
    with QueryClient(address, manifest=newer, cache=cache) as client:
        np.testing.assert_array_equal(client.embed(["desk"]), model.vectors(["desk"]))


def test_a_server_that_moves_to_another_space_is_found_out_and_its_vectors_forgotten(
    model, manifest, address, monkeypatch
):
    cache = MemoryCache()
    with QueryClient(address, manifest=manifest, cache=cache) as client:
        client.embed(["desk"])
        model.sign = -1.0
        client.embed(["lamp"])
        monkeypatch.setattr(space_guard, "CHECK_SECONDS", 0.0)
        with pytest.raises(SpaceChanged, match=f"does not serve space {manifest.space_id}"):
            client.embed(["rug"])
        assert len(cache) == 0
        model.sign = 1.0
        np.testing.assert_array_equal(client.embed(["lamp"]), model.vectors(["lamp"]))
        client.embed(["chair"])
    # What the last check has covered stays; what came after it is not known to be good.
    kept = [cache.get_many([cache_key(manifest.space_id, text)])[0] is not None for text in ("lamp", "chair")]
    assert kept == [True, False]


def test_a_dying_and_lying_redis_never_changes_an_answer(model, manifest, address):
    if not installed():
        return
    with redis_server() as (url, process):
        metrics = ClientMetrics()
        cache = RedisCache(url, 2, metrics, timeout=10.0)
        with QueryClient(address, manifest=manifest, cache=cache, metrics=metrics) as client:
            want = model.vectors(["desk"])
            np.testing.assert_array_equal(client.embed(["desk"]), want)
            assert client.lookup(["desk"]).cached == [True]
            cache._redis.set(cache_key(manifest.space_id, "desk"), b"x" * 16)
            np.testing.assert_array_equal(client.embed(["desk"]), want)
            process.kill()
            process.wait(10)
            np.testing.assert_array_equal(client.embed(["desk"]), want)
        assert metrics.count("tfsage_query_cache_errors", kind="rejected") == 1
        assert metrics.count("tfsage_query_cache_errors", kind="failed") >= 1


def test_a_bundle_of_another_space_is_refused_at_once(served, tmp_path):
    other = write_bundle(tmp_path, seed=9)
    with (
        QueryClient(served.server.grpc_address, manifest=other.manifest) as client,
        pytest.raises(SpaceChanged),
    ):
        client.embed(["desk"])


def test_a_cache_needs_a_space():
    with pytest.raises(ValueError, match="manifest"):
        QueryClient("127.0.0.1:1", cache=MemoryCache())
