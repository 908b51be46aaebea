"""Classify, Regress and MultiInference: tf.Examples in, classes and numbers out."""

import time

import grpc
from tensorflow_serving.apis import classification_pb2, inference_pb2, model_pb2, regression_pb2

from tfsage.serving import metrics
from tfsage.serving.examples import CLASSIFY, REGRESS, Classifier, Regressor, example_strings, named_signature
from tfsage.serving.model import DEFAULT_SIGNATURE, Model
from tfsage.serving.status import ServingError, invalid

_NO_SIGNATURE = "No signature was found with the name"


def classify(
    model: Model, request: classification_pb2.ClassificationRequest, timeout: float | None = None
) -> classification_pb2.ClassificationResponse:
    """Classes and scores of every example.

    Args:
        timeout: seconds the session may take.

    Raises:
        ServingError: with the code and message that TensorFlow Serving would give.
    """
    head = Classifier.of(named_signature(model, request.model_spec.signature_name, _NO_SIGNATURE))
    response = classification_pb2.ClassificationResponse()
    fill_spec(response.model_spec, model, request.model_spec)
    _answer_one(model, head, request, response.result, "Classify", timeout)
    return response


def regress(
    model: Model, request: regression_pb2.RegressionRequest, timeout: float | None = None
) -> regression_pb2.RegressionResponse:
    """A number for every example; arguments and errors as `classify`."""
    head = Regressor.of(named_signature(model, request.model_spec.signature_name, _NO_SIGNATURE))
    response = regression_pb2.RegressionResponse()
    fill_spec(response.model_spec, model, request.model_spec)
    _answer_one(model, head, request, response.result, "Regress", timeout)
    return response


def multi_inference(
    model: Model, request: inference_pb2.MultiInferenceRequest, timeout: float | None = None
) -> inference_pb2.MultiInferenceResponse:
    """Several signatures of one model on the same examples, in one run of the session.

    Raises:
        ServingError: as `classify`; another method than classify and regress is UNIMPLEMENTED.
    """
    name = request.tasks[0].model_spec.name if request.tasks else ""
    heads: dict[str, Classifier | Regressor] = {}
    if not request.tasks:
        raise invalid("ModelSpec has no name specified.")
    for task in request.tasks:
        spec = task.model_spec
        if not spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if spec.name != name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        key = spec.signature_name or DEFAULT_SIGNATURE
        if key in heads:
            raise invalid(f"Duplicate evaluation of signature: {key}")
        signature = named_signature(model, key, "Requested signature not found in model graph")
        if task.method_name not in (CLASSIFY, REGRESS):
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        heads[key] = (Classifier if task.method_name == CLASSIFY else Regressor).of(signature)

    strings = example_strings(request.input)
    feeds = {tensor: strings for head in heads.values() for tensor in head.signature.inputs.values()}
    fetches = list(dict.fromkeys(tensor for head in heads.values() for tensor in head.fetches))
    values = dict(zip(fetches, model.run(feeds, fetches, timeout), strict=True))
    metrics.example_counts.add(name, amount=len(strings))
    metrics.example_count_total.add(name, by=len(strings))
    response = inference_pb2.MultiInferenceResponse()
    for task, head in zip(request.tasks, heads.values(), strict=True):
        result = response.results.add()
        fill_spec(result.model_spec, model, task.model_spec)
        head.fill(
            result.classification_result if isinstance(head, Classifier) else result.regression_result,
            values,
            len(strings),
        )
    return response


def fill_spec(spec: model_pb2.ModelSpec, model: Model, asked: model_pb2.ModelSpec) -> None:
    """Names what answered: the name as it was asked, the version by number, the signature in full."""
    spec.name = asked.name
    spec.version.value = model.version
    spec.signature_name = asked.signature_name or DEFAULT_SIGNATURE


def _answer_one(model: Model, head: Classifier | Regressor, request, result, api: str, timeout: float | None) -> None:
    strings = example_strings(request.input)
    (tensor,) = head.signature.inputs.values()
    started = time.perf_counter()
    values = model.run({tensor: strings}, head.fetches, timeout)
    metrics.runtime_latency.add(request.model_spec.name, api, "TF1", amount=(time.perf_counter() - started) * 1e6)
    head.fill(result, dict(zip(head.fetches, values, strict=True)), len(strings))
