"""Starting and stopping: ports, addresses, signals, limits."""

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import model_pb2, prediction_service_pb2_grpc

from tests.serving.models import predict_request
from tfsage.errors import TfsageError
from tfsage.serving import server as server_module
from tfsage.serving.registry import Registry, load_registry
from tfsage.serving.rest import LIMITS
from tfsage.serving.server import ModelServer, base_paths, bind, serve


@pytest.fixture
def taken() -> int:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize("face", ["grpc_port", "rest_port"])
def test_a_port_in_use_is_one_clear_error(root, taken, face, keep_sigterm):
    ports = {"grpc_port": 0, "rest_port": 0, face: taken}
    with pytest.raises(
        TfsageError, match=rf"^cannot listen on 127\.0\.0\.1:{taken}: Address already in use; stop what"
    ):
        serve(root, **ports)
    with pytest.raises(TfsageError, match=f"cannot listen on 127.0.0.1:{taken}"):
        ModelServer(Registry(), **ports)


def test_both_faces_on_one_port_are_refused(root, keep_sigterm):
    port = bind("127.0.0.1", 0).getsockname()[1]
    with pytest.raises(TfsageError, match=f"gRPC and REST need ports of their own, both are {port}"):
        serve(root, grpc_port=port, rest_port=port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(TfsageError, match=r"^cannot listen on 192\.0\.2\.1:0: Cannot assign requested address"):
        bind("192.0.2.1", 0)


def test_nothing_published_is_one_clear_error(tmp_path):
    with pytest.raises(TfsageError, match=f"^{tmp_path}: no bundle is published here"):
        serve(tmp_path)


@pytest.mark.parametrize(("sent", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_serve_answers_on_loopback_until_it_is_told_to_stop(root, sent, raised, keep_sigterm, monkeypatch):
    served, answers = [], []

    def ask_then_stop() -> None:
        url = f"http://{served[0].rest_address}/v1/models/query_tower/metadata"
        try:
            answers.append(httpx.get(url, timeout=30).status_code)
        finally:
            os.kill(os.getpid(), sent)

    def announce(server: ModelServer, *_) -> None:
        served.append(server)
        threading.Thread(target=ask_then_stop).start()

    monkeypatch.setattr(server_module, "_announce", announce)
    with pytest.raises(raised) as stopped:
        serve(root, grpc_port=0, rest_port=0)
    (server,) = served
    assert server.rest_address.startswith("127.0.0.1:")
    assert answers == [200]
    assert getattr(stopped.value, "code", 0) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{server.rest_address}")


def test_a_call_under_way_is_answered_before_the_server_stops(bundle):
    registry = load_registry({"query_tower": base_paths(bundle)["query_tower"]})
    model = registry.find(model_pb2.ModelSpec(name="query_tower"))
    run, begun = model.run, threading.Event()

    def slow_run(*arguments):
        begun.set()
        time.sleep(0.5)
        return run(*arguments)

    model.run = slow_run
    with ModelServer(registry) as server, ThreadPoolExecutor() as pool:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.grpc_address))
        call = pool.submit(stub.Predict, predict_request("query_tower", query=["a"]), timeout=20)
        assert begun.wait(10)
        server.__exit__()
        assert call.result(10).outputs["embedding"].float_val
        with pytest.raises(grpc.RpcError) as refused:
            stub.Predict(predict_request("query_tower", query=["a"]), timeout=20)
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_message_above_the_limit_is_refused_and_the_server_goes_on(served):
    huge = predict_request("query_tower", query=[b"x" * LIMITS.message_bytes])
    with pytest.raises(grpc.RpcError) as refused:
        served.prediction.Predict(huge, timeout=60)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.prediction.Predict(predict_request("query_tower", query=["a"]), timeout=20).outputs


def test_many_clients_at_once_get_their_own_answers(served):
    def ask(number: int) -> float:
        request = predict_request("calculator", "scalar", x=np.float64(number))
        return served.prediction.Predict(request, timeout=20).outputs["half"].double_val[0]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    assert answers == [number / 2 for number in range(200)]
