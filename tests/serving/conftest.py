"""One embedded model server for every test of serving."""

from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tests.serving.models import Calculator, write_bundle
from tfsage.bundle import Bundle
from tfsage.serving.registry import Registry, load_registry
from tfsage.serving.server import ModelServer, base_paths


class Served(NamedTuple):
    """A running server and stock stubs on a real channel to it."""

    server: ModelServer
    registry: Registry
    prediction: prediction_service_pb2_grpc.PredictionServiceStub
    models: model_service_pb2_grpc.ModelServiceStub

    @property
    def url(self) -> str:
        return f"http://{self.server.rest_address}"


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
def served(bundle, tmp_path_factory) -> Served:
    """Both towers of the bundle and the calculator, on free ports."""
    calculator = tmp_path_factory.mktemp("calculator")
    Calculator().save(calculator / "7")
    registry = load_registry({**base_paths(bundle), "calculator": calculator})
    with (
        ModelServer(registry, grpc_port=0, rest_port=0) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        yield Served(
            server,
            registry,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )
