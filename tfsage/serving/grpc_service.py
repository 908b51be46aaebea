"""The gRPC face of the embedded model server: PredictionService and ModelService of TensorFlow Serving.

Of `tensorflow_serving.apis` only the `*_pb2_grpc` modules and the message modules are imported: in release 2.20
`prediction_service_pb2` and `model_service_pb2` do not work with current protobuf.
"""

from collections.abc import Callable

import grpc
from google.protobuf.message import Message
from tensorflow_serving.apis import model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc

from tfsage.serving.describe import model_metadata, model_status
from tfsage.serving.predict import predict
from tfsage.serving.registry import Registry
from tfsage.serving.status import ServingError, invalid

_LONGEST_DEADLINE = 24 * 3600.0


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata."""

    def __init__(self, registry: Registry):
        self._registry = registry

    def Predict(self, request, context):
        return _answer(context, lambda: self._predict(request, _seconds_left(context)))

    def GetModelMetadata(self, request, context):
        return _answer(context, lambda: model_metadata(self._registry, request))

    def Classify(self, request, context):
        return _unimplemented(context, "Classify")

    def Regress(self, request, context):
        return _unimplemented(context, "Regress")

    def MultiInference(self, request, context):
        return _unimplemented(context, "MultiInference")

    def _predict(self, request: predict_pb2.PredictRequest, timeout: float | None) -> predict_pb2.PredictResponse:
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        return predict(self._registry.find(request.model_spec), request, timeout)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, registry: Registry):
        self._registry = registry

    def GetModelStatus(self, request, context):
        return _answer(context, lambda: model_status(self._registry, request))

    def HandleReloadConfigRequest(self, request, context):
        return _unimplemented(context, "HandleReloadConfigRequest")


def add_services(server: grpc.Server, registry: Registry) -> None:
    """Offers both services of `registry` on `server`."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(registry), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(registry), server)


def _answer(context: grpc.ServicerContext, call: Callable[[], Message]) -> Message:
    try:
        return call()
    except ServingError as error:
        return context.abort(error.code, error.grpc_details)


def _seconds_left(context: grpc.ServicerContext) -> float | None:
    # A call without a deadline is said to have centuries left.
    seconds = context.time_remaining()
    return seconds if seconds < _LONGEST_DEADLINE else None


def _unimplemented(context: grpc.ServicerContext, method: str) -> None:
    error = ServingError.unimplemented(method)
    context.abort(error.code, error.grpc_details)
