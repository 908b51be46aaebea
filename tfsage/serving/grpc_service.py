"""The gRPC face of the embedded model server: PredictionService and ModelService of TensorFlow Serving.

Of `tensorflow_serving.apis` only the `*_pb2_grpc` modules and the message modules are imported: in release 2.20
`prediction_service_pb2` and `model_service_pb2` do not work with current protobuf.
"""

import threading
import time
from collections.abc import Callable

import grpc
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tfsage.serving import metrics
from tfsage.serving.describe import model_metadata, model_status
from tfsage.serving.inference import classify, multi_inference, regress
from tfsage.serving.manager import ModelManager
from tfsage.serving.model import Model
from tfsage.serving.predict import predict
from tfsage.serving.registry import Registry
from tfsage.serving.status import ServingError, invalid

_LONGEST_DEADLINE = 24 * 3600.0


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """What the models of a registry answer.

    Args:
        calls: how many calls are worked on at once, waiting in a batch included; others wait for their turn.
    """

    def __init__(self, registry: Registry, calls: int):
        self._registry, self._turns = registry, threading.Semaphore(calls)

    def Predict(self, request, context):
        return self._counted("Predict", predict, request, context)

    def Classify(self, request, context):
        return self._counted("Classify", classify, request, context)

    def Regress(self, request, context):
        return self._counted("Regress", regress, request, context)

    def MultiInference(self, request: inference_pb2.MultiInferenceRequest, context):
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        return _answer(context, lambda: self._ask(multi_inference, spec, request, context))

    def GetModelMetadata(self, request, context):
        return _answer(context, lambda: model_metadata(self._registry, request))

    def _counted(self, api: str, call, request, context) -> Message:
        started = time.perf_counter()
        name, status = request.model_spec.name, "OK"

        def answer() -> Message:
            nonlocal status
            try:
                if not request.HasField("model_spec"):
                    raise invalid("Missing ModelSpec")
                return self._ask(call, request.model_spec, request, context)
            except ServingError as error:
                status = error.code.name
                raise

        try:
            response = _answer(context, answer)
            metrics.request_latency.add(name, api, "GRPC", amount=(time.perf_counter() - started) * 1e6)
            return response
        finally:
            metrics.request_count.add(name, status)

    def _ask(self, call: Callable[[Model, Message, float | None], Message], spec, request, context) -> Message:
        if not self._turns.acquire(timeout=_seconds_left(context)):
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "no thread was free before the deadline")
        try:
            with self._registry.use(spec) as model:
                return call(model, request, _seconds_left(context))
        finally:
            self._turns.release()


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """What is served, and, where there is a manager, another config instead."""

    def __init__(self, registry: Registry, manager: ModelManager | None):
        self._registry, self._manager = registry, manager

    def GetModelStatus(self, request, context):
        return _answer(context, lambda: model_status(self._registry, request))

    def HandleReloadConfigRequest(self, request, context):
        return _answer(context, lambda: self._reload(request))

    def _reload(self, request: model_management_pb2.ReloadConfigRequest) -> model_management_pb2.ReloadConfigResponse:
        if self._manager is None:
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, "the models of this server are fixed")
        before = metrics.values_of(request.metric_names)
        self._manager.reload(request.config)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        for name, value in metrics.values_of(request.metric_names).items():
            response.metric.add(name=name, int64_value_increase=value - before[name])
        return response


def add_services(server: grpc.Server, registry: Registry, manager: ModelManager | None, calls: int) -> None:
    """Offers both services of `registry` on `server`; without a manager its models cannot be changed.

    Args:
        calls: how many calls to models are worked on at once.
    """
    service = PredictionService(registry, calls)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(registry, manager), server)


def _answer(context: grpc.ServicerContext, call: Callable[[], Message]) -> Message:
    try:
        return call()
    except ServingError as error:
        return context.abort(error.code, error.grpc_details)


def _seconds_left(context: grpc.ServicerContext) -> float | None:
    # A call without a deadline is said to have centuries left.
    seconds = context.time_remaining()
    return max(seconds, 0.0) if seconds < _LONGEST_DEADLINE else None
