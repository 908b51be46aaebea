"""Predict: the checks that TensorFlow Serving makes, in its order and its words, then the session.

Read beside `predict_util.cc` of TensorFlow Serving and `cc/saved_model/util.cc` of TensorFlow: the signature is looked
up first, then inputs are counted, matched by name and decoded, then the output filter is read; shapes are not checked.
"""

import time
from collections.abc import Iterable

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tfsage.serving import metrics
from tfsage.serving.inference import fill_spec
from tfsage.serving.model import DEFAULT_SIGNATURE, Model, Signature
from tfsage.serving.status import ServingError, invalid
from tfsage.serving.tensors import decode, encode


def predict(
    model: Model, request: predict_pb2.PredictRequest, timeout: float | None = None
) -> predict_pb2.PredictResponse:
    """Answers one request from `model`.

    Args:
        timeout: seconds the session may take.

    Raises:
        ServingError: with the code and message that TensorFlow Serving would give.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    _check_count(signature, request)
    feeds = _feeds(signature, request)
    aliases = _aliases(signature, request.output_filter)
    started = time.perf_counter()
    values = model.run(feeds, [signature.outputs[alias] for alias in aliases], timeout)
    metrics.runtime_latency.add(request.model_spec.name, "Predict", "TF1", amount=(time.perf_counter() - started) * 1e6)

    response = predict_pb2.PredictResponse()
    fill_spec(response.model_spec, model, request.model_spec)
    for alias, value in zip(aliases, values, strict=True):
        response.outputs[alias].CopyFrom(encode(np.asarray(value)))
    return response


def _check_count(signature: Signature, request: predict_pb2.PredictRequest) -> None:
    sent, expected = set(request.inputs), set(signature.inputs)
    too_few = len(sent) < len(expected) and not signature.proto.defaults
    if len(sent) > len(expected) or too_few:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} len({_set(sent)}) != "
            f"len({_set(expected)}). Sent extra: {_set(sent - expected)}. "
            f"Missing but required: {_set(expected - sent)}."
        )


def _feeds(signature: Signature, request: predict_pb2.PredictRequest) -> dict[tf.Tensor, np.ndarray]:
    feeds, defaults = {}, signature.proto.defaults
    for alias, tensor in signature.inputs.items():
        if alias in request.inputs:
            proto = request.inputs[alias]
        elif alias in defaults:
            proto = defaults[alias]
        else:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {signature.proto.inputs[alias].name}) not found in request "
                f"and no default value provided. Inputs expected to be in the request {_set(request.inputs)}, "
                f"or default input alias set: {_list(defaults)}"
            )
        try:
            feeds[tensor] = decode(proto)
        except ValueError:
            raise invalid(f"tensor parsing error: {alias}") from None
    used = set(request.inputs) & set(signature.inputs)
    if len(used) < len(request.inputs):
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {_list(used)}, request input: {_list(request.inputs)}"
        )
    return feeds


def _aliases(signature: Signature, output_filter: Iterable[str]) -> list[str]:
    aliases = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if alias in aliases:
            raise invalid(f"duplicate output tensor alias: {alias}")
        aliases.append(alias)
    return aliases or list(signature.outputs)


def _list(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _set(names: Iterable[str]) -> str:
    return "{" + _list(names) + "}"
