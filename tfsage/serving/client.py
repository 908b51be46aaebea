"""A client for the query tower behind any TensorFlow Serving, stock or embedded."""

from collections.abc import Sequence

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfsage.errors import TfsageError
from tfsage.serving.tensors import decode

MODEL = "query_tower"
INPUT, OUTPUT = "query", "embedding"


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
    """Embeds query texts over gRPC; close it, or use it as a context manager.

    Args:
        address: host:port of the model server.
        timeout: seconds a call may take, connecting included.
    """

    def __init__(self, address: str, timeout: float = 10.0):
        self.address, self._timeout = address, timeout
        self._channel = grpc.insecure_channel(
            address, options=[("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embeds texts in one call.

        Returns:
            float32 [len(texts), dimension], unit vectors, in the order of `texts`.

        Raises:
            TfsageError: the server cannot be reached, is too slow, serves no query tower, or refuses the texts; or
                what it sends is not one finite vector per text.
        """
        try:
            response = self._stub.Predict(embed_request(texts), timeout=self._timeout)
        except grpc.RpcError as error:
            raise self._explained(error) from None
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
        self._channel.close()

    def __enter__(self) -> "QueryClient":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _explained(self, error: grpc.RpcError) -> TfsageError:
        code, server = error.code(), f"the model server at {self.address}"
        if code == grpc.StatusCode.UNAVAILABLE:
            return TfsageError(f"{server} cannot be reached; start it (tfsage serve), or check the address")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return TfsageError(f"{server} did not answer within {self._timeout:g} s; see whether it is overloaded")
        if code == grpc.StatusCode.NOT_FOUND:
            return TfsageError(f"{server} serves no model {MODEL!r} ({error.details()}); check the address")
        return TfsageError(f"{server} refused the query: {code.name}: {error.details()}")

    def _unusable(self, what: str) -> TfsageError:
        return TfsageError(f"the model server at {self.address} {what}; is its {MODEL!r} a tfsage query tower?")
