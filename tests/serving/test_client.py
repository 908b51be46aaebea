"""The query client: vectors in order, both encodings read, and one clear error for whatever goes wrong."""

import time
from concurrent import futures
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.serving.models import DIMENSION
from tfsage.errors import TfsageError
from tfsage.serving.client import QueryClient
from tfsage.serving.registry import Registry, load_registry
from tfsage.serving.server import ModelServer, base_paths, bind

ARRAY = np.arange(2 * DIMENSION, dtype=np.float32).reshape(2, DIMENSION)


@contextmanager
def answering(answer):
    """The address of a server whose Predict is `answer`, a function of the request and the context."""
    service = prediction_service_pb2_grpc.PredictionServiceServicer()
    service.Predict = answer
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def response(tensor, name="embedding") -> predict_pb2.PredictResponse:
    made = predict_pb2.PredictResponse()
    made.outputs[name].CopyFrom(tensor)
    return made


def test_vectors_come_in_the_order_of_the_texts(served, bundle):
    canaries = bundle.manifest.canaries
    with QueryClient(served.server.grpc_address) as client:
        vectors = client.embed(canaries.queries[::-1])
        assert client.embed([]).shape == (0, DIMENSION)
    assert (vectors.dtype, vectors.shape) == (np.float32, (3, DIMENSION))
    np.testing.assert_allclose(vectors, canaries.vectors[::-1], atol=1e-6)


@pytest.mark.parametrize("raw", [False, True], ids=["float_val", "tensor_content"])
def test_both_encodings_of_a_tensor_are_read(raw):
    tensor = tf.make_tensor_proto(ARRAY)
    if not raw:
        tensor.ClearField("tensor_content")
        tensor.float_val.extend(ARRAY.ravel().tolist())
    with answering(lambda request, context: response(tensor)) as address, QueryClient(address) as client:
        np.testing.assert_array_equal(client.embed(["a", "b"]), ARRAY)


def test_no_server():
    # Held, so that nobody else comes to listen there.
    with bind("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with (
            QueryClient(f"127.0.0.1:{port}") as client,
            pytest.raises(TfsageError, match=rf"^the model server at 127\.0\.0\.1:{port} cannot be reached; start it"),
        ):
            client.embed(["a"])


def test_a_slow_server():
    def late(request, context):
        time.sleep(1)
        return response(tf.make_tensor_proto(ARRAY))

    with (
        answering(late) as address,
        QueryClient(address, timeout=0.3) as client,
        pytest.raises(TfsageError, match="did not answer within 0.3 s"),
    ):
        client.embed(["a", "b"])


def test_a_server_without_the_model():
    with (
        ModelServer(Registry()) as server,
        QueryClient(server.grpc_address) as client,
        pytest.raises(TfsageError, match=r"serves no model 'query_tower' \(Servable not found"),
    ):
        client.embed(["a"])


def test_a_server_that_refuses(bundle):
    registry = load_registry({"query_tower": base_paths(bundle)["product_tower"]})
    with (
        ModelServer(registry) as server,
        QueryClient(server.grpc_address) as client,
        pytest.raises(TfsageError, match="refused the query: INVALID_ARGUMENT: input size does not match signature"),
    ):
        client.embed(["a"])


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (response(tf.make_tensor_proto(ARRAY), name="vector"), "undecodable|for 2 queries"),
        (response(tf.make_tensor_proto(ARRAY[:1])), r"sent float32 \[1, 16\] for 2 queries"),
        (response(tf.make_tensor_proto(ARRAY.astype(np.float64))), r"sent float64 \[2, 16\] for 2 queries"),
        (response(tf.make_tensor_proto(ARRAY * np.nan)), "sent NaN or infinite values"),
    ],
    ids=["no embedding", "too few", "float64", "NaN"],
)
def test_answers_that_are_no_vectors(sent, message):
    with (
        answering(lambda request, context: sent) as address,
        QueryClient(address) as client,
        pytest.raises(TfsageError, match=message),
    ):
        client.embed(["a", "b"])
