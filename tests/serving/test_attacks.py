"""What an ill-meaning client, or file, can do: each gets its status, and the server goes on answering."""

import ast
import contextlib
import pickle
import resource
import shutil
import socket
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.serving.models import predict_request, write_bundle
from tests.serving.wire import refusal
from tfsage.config import load_config
from tfsage.errors import TfsageError
from tfsage.serving.registry import Registry
from tfsage.serving.rest import Limits
from tfsage.serving.server import ModelServer

ROOT = Path(__file__).parents[2]
CONNECTIONS = 1000
PICKLE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


class Dangerous:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def goes_on(served):
    """At the end of the test the server must still answer, over both faces."""
    yield
    assert served.prediction.Predict(predict_request("query_tower", query=["a"]), timeout=20).outputs
    assert httpx.post(f"{served.url}/v1/models/query_tower:predict", json={"instances": ["a"]}).status_code == 200


@contextlib.contextmanager
def limited(registry: Registry, **limits):
    """A second server of the same models, with limits of its own, that leaves the models alone when it goes."""

    class Shared:
        use, find, status, names = registry.use, registry.find, registry.status, registry.names

        def close(self):
            pass

    with ModelServer(Shared(), rest_port=0, limits=Limits(**limits)) as server:
        yield server


def split(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host, int(port)


def briefly(value: str | bytes) -> str:
    return repr(value[:12])


@pytest.mark.parametrize(
    "junk", [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x00", b"GET / HTTP/1.1\r\n\r\n"], ids=briefly
)
def test_bytes_that_are_no_message(served, goes_on, junk):
    methods = {
        "PredictionService": ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"),
        "ModelService": ("GetModelStatus", "HandleReloadConfigRequest"),
    }
    with grpc.insecure_channel(served.server.grpc_address) as channel:
        for service, names in methods.items():
            for name in names:
                call = channel.unary_unary(f"/tensorflow.serving.{service}/{name}", request_serializer=bytes)
                assert refusal(call, junk)[0] == "INTERNAL"


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01", b"\0" * 4096, b"GET " + b"a" * 100_000, b"POST / HTTP/9\r\n\r\n"], ids=briefly
)
def test_bytes_that_are_no_http(served, goes_on, junk):
    for face in (served.server.rest_address, served.server.grpc_address):
        with socket.create_connection(split(face), timeout=10) as connection, contextlib.suppress(OSError):
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            assert not connection.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../b", "..", "query_tower\0", "%2e%2e", "a" * 100_000], ids=briefly
)
def test_model_names_are_names_and_never_paths(served, goes_on, name):
    code, message = refusal(served.prediction.Predict, predict_request(name, query=["a"]))
    assert code == "NOT_FOUND"
    assert message.startswith("Servable not found for request: Latest(")


@pytest.mark.parametrize(
    "path", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "query_tower/../../../etc/passwd", "%00", "%ff"]
)
def test_paths_lead_nowhere(served, goes_on, path):
    for method in ("GET", "POST"):
        with socket.create_connection(split(served.server.rest_address), timeout=10) as connection:
            head = f"{method} /v1/models/{path}{':predict' if method == 'POST' else ''} HTTP/1.1\r\nHost: a\r\n"
            connection.sendall(f"{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.split()[1] in (b"400", b"404")
        assert b"root:" not in answer


def test_deep_and_wide_json(served, goes_on):
    url = f"{served.url}/v1/models/calculator:predict"
    for body in (
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"inputs": ' + b"[" * 5000,
        b'{"instances": [' + b"{}," * 50_000,
    ):
        response = httpx.post(url, content=body, timeout=20)
        assert (response.status_code, list(response.json())) == (400, ["error"])


def test_huge_numbers_and_claims(served, goes_on):
    url = f"{served.url}/v1/models/calculator:predict"
    for number in ("1" * 5000, "1e400", "-1e400", "NaN"):
        body = f'{{"signature_name": "scalar", "inputs": {number}}}'
        assert httpx.post(url, content=body).status_code in (200, 400)
    claim = predict_request("query_tower", query=["a"])
    for size in (2**40, 2**62, -1):
        claim.inputs["query"].tensor_shape.dim[0].size = size
        assert refusal(served.prediction.Predict, claim) == ("INVALID_ARGUMENT", "tensor parsing error: query")


def test_a_deadline_that_is_over(served, goes_on):
    with pytest.raises(grpc.RpcError) as refused:
        served.prediction.Predict(predict_request("query_tower", query=["word " * 1000] * 1000), timeout=0.001)
    assert refused.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_body_that_does_not_arrive_is_given_up_while_others_are_served(registry):
    with (
        limited(registry, seconds=2.0) as server,
        socket.create_connection(split(server.rest_address), timeout=10) as slow,
    ):
        slow.sendall(b"POST /v1/models/query_tower:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        url = f"http://{server.rest_address}/v1/models/query_tower:predict"
        assert httpx.post(url, json={"instances": ["a"]}).status_code == 200
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_calls_whose_message_does_not_arrive_hold_nobody_up(served, goes_on):
    free = threading.Event()

    def nothing():
        free.wait(30)
        yield from ()

    with grpc.insecure_channel(served.server.grpc_address) as channel:
        call = channel.stream_unary("/tensorflow.serving.PredictionService/Predict", request_serializer=bytes)
        stalled = [call.future(nothing(), timeout=20) for _ in range(100)]
        time.sleep(0.5)
        assert not any(future.done() for future in stalled)
        started = time.monotonic()
        assert served.prediction.Predict(predict_request("query_tower", query=["a"]), timeout=10).outputs
        assert time.monotonic() - started < 5
        free.set()
        for future in stalled:
            future.cancel()


def test_requests_above_the_limit_are_refused_at_once(registry):
    model = registry.find(predict_request("query_tower").model_spec)
    run, free, busy = model.run, threading.Event(), threading.Semaphore(0)

    def held(*arguments):
        busy.release()
        assert free.wait(20)
        return run(*arguments)

    model.run = held
    try:
        with limited(registry, requests=2) as server, ThreadPoolExecutor(4) as pool:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.grpc_address))
            url = f"http://{server.rest_address}/v1/models/query_tower:predict"
            over_grpc = [pool.submit(stub.Predict, predict_request("query_tower", query=["a"])) for _ in range(2)]
            over_rest = [pool.submit(httpx.post, url, json={"instances": ["a"]}, timeout=20) for _ in range(2)]
            for _ in range(4):
                assert busy.acquire(timeout=10)
            assert refusal(stub.Predict, predict_request("query_tower", query=["a"]))[0] == "RESOURCE_EXHAUSTED"
            refused = httpx.post(url, json={"instances": ["a"]})
            assert (refused.status_code, refused.json()) == (429, {"error": "more than 2 requests are in flight"})
            free.set()
            assert all(call.result(20).outputs for call in over_grpc)
            assert [call.result(20).status_code for call in over_rest] == [200, 200]
    finally:
        free.set()
        model.run = run


def test_a_thousand_idle_connections(served, goes_on):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Both ends of every connection are files of this process.
    wanted = 4 * CONNECTIONS + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        print(f"\nonly {hard} open files are allowed here: fewer than {CONNECTIONS} idle connections are made")
    count = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, (hard - 500) // 4)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard) if hard > 0 else wanted), hard))
    faces = [split(served.server.grpc_address), split(served.server.rest_address)]
    with contextlib.ExitStack() as idle:
        for number in range(count):
            idle.enter_context(socket.create_connection(faces[number % 2], timeout=10))
        started = time.monotonic()
        assert served.prediction.Predict(predict_request("query_tower", query=["a"]), timeout=20).outputs
        assert httpx.get(f"{served.url}/v1/models/query_tower").status_code == 200
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", ["pickle", "zip", "empty"])
def test_a_savedmodel_that_is_something_else_is_refused_and_not_opened(bundle, tmp_path, kind):
    folder, trace = tmp_path / "1", tmp_path / "unpickled"
    shutil.copytree(bundle.query_tower, folder)
    file = folder / "saved_model.pb"
    if kind == "pickle":
        file.write_bytes(pickle.dumps(Dangerous(trace)))
    elif kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("../../escaped", "x")
    else:
        file.write_bytes(b"")
    with pytest.raises(TfsageError, match=f"^{folder}"):
        Registry().load("query_tower", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1"]


def test_pickles_and_archives_beside_a_model_are_left_alone(bundle, tmp_path):
    shutil.copytree(bundle.query_tower, tmp_path / "models" / "1")
    trace = tmp_path / "unpickled"
    for name in ("assets/data.pkl", "assets.extra/requests.pickle", "variables/extra.npy", "model.pkl"):
        file = tmp_path / "models" / "1" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(pickle.dumps(Dangerous(trace)))
    with zipfile.ZipFile(tmp_path / "models" / "2.zip", "w") as archive:
        archive.writestr("2/saved_model.pb", b"")
    registry = Registry()
    assert registry.load("query_tower", tmp_path / "models").version == 1
    registry.close()
    assert not trace.exists()


def test_an_index_of_pickled_arrays_is_refused(tmp_path):
    bundle, trace = write_bundle(tmp_path, seed=1), tmp_path / "unpickled"
    np.save(bundle.index / "vectors.npy", np.array([Dangerous(trace)], object), allow_pickle=True)
    with pytest.raises(TfsageError, match="vectors.npy"):
        bundle.load_index()
    assert not trace.exists()


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:pathlib.Path.touch [{path}]", "!!python/name:os.system", "!own a"]
)
def test_yaml_with_tags_is_refused(tmp_path, tag):
    trace = tmp_path / "made"
    file = tmp_path / "config.yaml"
    file.write_text(f"text: {tag.format(path=trace)}\n")
    with pytest.raises(TfsageError, match=str(file)):
        load_config(file)
    assert not trace.exists()


def test_nothing_in_the_project_unpickles():
    sources = [
        path
        for part in ("tfsage", "export", "examples", "benchmarks", "serving_configs")
        for path in (ROOT / part).rglob("*.py")
    ]
    assert len(sources) > 100
    found = []
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0]]
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                names = [] if getattr(node.value, "value", True) is False else ["pickle"]
            elif isinstance(node, ast.Attribute) and node.attr in (
                "unsafe_load",
                "full_load",
                "UnsafeLoader",
                "FullLoader",
            ):
                names = ["pickle"]
            found += [f"{source}: {name}" for name in names if name in PICKLE_MODULES]
    assert found == []
