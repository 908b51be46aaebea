"""The model servers that the tests of serving ask: the embedded one, and stock TensorFlow Serving where it is found."""

import contextlib
import signal
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tests.serving import stock
from tests.serving.models import write_bundle
from tfsage.bundle import Bundle
from tfsage.serving.manager import ModelManager
from tfsage.serving.model_config import config_of
from tfsage.serving.registry import Registry
from tfsage.serving.server import ModelServer

SERVERS = ["embedded", *(["stock"] if stock.is_there() else [])]


class Served(NamedTuple):
    """A running server and stock stubs on a real channel to it."""

    server: ModelServer | stock.StockServer
    prediction: prediction_service_pb2_grpc.PredictionServiceStub
    models: model_service_pb2_grpc.ModelServiceStub

    @property
    def url(self) -> str:
        return f"http://{self.server.rest_address}"


@pytest.fixture
def keep_sigterm():
    """Undoes what `serve` does to this process."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """A folder of bundles with one published in it."""
    folder = tmp_path_factory.mktemp("serving") / "bundles"
    write_bundle(folder, seed=1)
    return folder


@pytest.fixture(scope="session")
def bundle(root) -> Bundle:
    return Bundle.current(root)


@pytest.fixture(scope="session")
def base_paths(bundle, tmp_path_factory) -> dict[str, Path]:
    """Both towers of the bundle, the calculator and the reader of examples, by model name."""
    return stock.write_models(tmp_path_factory.mktemp("models"), bundle)


@pytest.fixture(scope="session")
def registry(base_paths) -> Registry:
    """The models of the embedded server."""
    made = Registry()
    ModelManager(made).reload(config_of(base_paths))
    yield made
    made.close()


@pytest.fixture(scope="session", params=SERVERS)
def served(request, registry, base_paths, tmp_path_factory) -> Served:
    """A server of the models, on free ports; every test of it runs against every server there is."""
    with contextlib.ExitStack() as stack:
        if request.param == "embedded":
            if len(SERVERS) == 1:
                print(
                    f"\n{stock.BINARY} is not on the PATH, nor {stock.ADDRESS} set: the embedded server alone is asked"
                )
            server = stack.enter_context(ModelServer(registry, rest_port=0, metrics_path=stock.METRICS_PATH))
        else:
            folder = tmp_path_factory.mktemp("stock")
            stock.write_configs(folder, base_paths)
            server = stack.enter_context(stock.stock_server(folder))
        channel = stack.enter_context(grpc.insecure_channel(server.grpc_address))
        yield Served(
            server,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )
