"""Classify, Regress and MultiInference over gRPC: values against plain numbers, refusals as TensorFlow Serving's."""

import grpc
import pytest
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from tests.serving.example_models import CLASSIFY, REGRESS, example, example_request, multi_request
from tests.serving.wire import refusal


def test_classes_and_scores_of_every_example(served):
    response = served.prediction.Classify(example_request("classify", "classify", 0.25, 1.0), timeout=20)
    pairs = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    assert pairs == [[("desk", 0.25), ("lamp", 0.75)], [("desk", 1.0), ("lamp", 0.0)]]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("reader", 3, "classify")


@pytest.mark.parametrize(("signature", "pairs"), [("scores", [("", 0.25)]), ("labels", [("desk", 0), ("lamp", 0)])])
def test_scores_or_classes_alone(served, signature, pairs):
    response = served.prediction.Classify(example_request("classify", signature, 0.25), timeout=20)
    assert [(one.label, one.score) for one in response.result.classifications[0].classes] == pairs


@pytest.mark.parametrize(("signature", "factor"), [("", 2), ("regress", 2), ("column", 3)])
def test_a_number_for_every_example(served, signature, factor):
    response = served.prediction.Regress(example_request("regress", signature, 0.5, -4), timeout=20)
    assert [one.value for one in response.result.regressions] == [0.5 * factor, -4 * factor]
    assert response.model_spec.signature_name == (signature or "serving_default")


def test_a_context_fills_what_an_example_lacks_and_gives_way_to_what_it_has(served):
    request = example_request("regress", "regress")
    request.input.example_list_with_context.context.CopyFrom(example(x=7.0))
    request.input.example_list_with_context.examples.extend([example(y=1), example(x=8.0)])
    assert [one.value for one in served.prediction.Regress(request, timeout=20).result.regressions] == [14, 16]


def test_several_signatures_in_one_run(served):
    request = multi_request(("column", REGRESS), ("classify", CLASSIFY), values=(0.25, 0.5))
    response = served.prediction.MultiInference(request, timeout=20)
    regression, classification = response.results
    assert [one.value for one in regression.regression_result.regressions] == [0.75, 1.5]
    scores = [[one.score for one in row.classes] for row in classification.classification_result.classifications]
    assert scores == [[0.25, 0.75], [0.5, 0.5]]
    assert [result.model_spec.signature_name for result in response.results] == ["column", "classify"]


def without_name(request):
    request.model_spec.name = ""
    return request


REFUSED = {
    "no spec": ("classify", classification_pb2.ClassificationRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no spec to regress": ("regress", regression_pb2.RegressionRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no name": (
        "regress",
        without_name(example_request("regress", "regress", 1)),
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    "unknown model": (
        "classify",
        example_request("classify", "", 1, model="nix"),
        "NOT_FOUND",
        "Servable not found for request: Latest(nix)",
    ),
    "unknown signature": (
        "classify",
        example_request("classify", "nix", 1),
        "INVALID_ARGUMENT",
        "No signature was found with the name: nix",
    ),
    "no examples": ("regress", example_request("regress", "regress"), "INVALID_ARGUMENT", "Input is empty."),
    "two inputs": (
        "regress",
        example_request("regress", "two_inputs", 1),
        "INVALID_ARGUMENT",
        "Expected one input Tensor.",
    ),
    "two outputs": (
        "regress",
        example_request("regress", "classify", 1),
        "INVALID_ARGUMENT",
        "Expected one output Tensor.",
    ),
    "three outputs": (
        "classify",
        example_request("classify", "three", 1),
        "INVALID_ARGUMENT",
        "Expected one or two output Tensors, found 3",
    ),
    "another input": (
        "regress",
        example_request("regress", "renamed", 1),
        "INVALID_ARGUMENT",
        "No regression inputs found in SignatureDef: ",
    ),
    "another input to classify": (
        "classify",
        example_request("classify", "renamed", 1),
        "INVALID_ARGUMENT",
        "No classification inputs found in SignatureDef: ",
    ),
    "no scores": (
        "classify",
        example_request("classify", "regress", 1),
        "INVALID_ARGUMENT",
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ',
    ),
    "no outputs": (
        "regress",
        example_request("regress", "scores", 1),
        "INVALID_ARGUMENT",
        "No regression outputs found in SignatureDef: ",
    ),
    "a vector of scores": (
        "classify",
        example_request("classify", "flat", 1, 2),
        "INVALID_ARGUMENT",
        "Expected Tensor shape: [batch_size num_classes] but got [2]",
    ),
    "classes that are numbers": (
        "classify",
        example_request("classify", "numbers", 1),
        "INVALID_ARGUMENT",
        "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
    ),
    "a matrix of numbers": (
        "regress",
        example_request("regress", "matrix", 1),
        "INVALID_ARGUMENT",
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]",
    ),
    "doubles": (
        "regress",
        example_request("regress", "double", 1),
        "INVALID_ARGUMENT",
        "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
    ),
    "one number for all": (
        "regress",
        example_request("regress", "summed", 1, 2),
        "INVALID_ARGUMENT",
        "Input batch size did not match output batch size: 2 vs. 1",
    ),
    "no tasks": ("multi", multi_request(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "another method": (
        "multi",
        multi_request(("regress", "tensorflow/serving/predict")),
        "UNIMPLEMENTED",
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "a signature twice": (
        "multi",
        multi_request(("regress", REGRESS), ("regress", REGRESS)),
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: regress",
    ),
    "unknown signature of several": (
        "multi",
        multi_request(("nix", REGRESS)),
        "INVALID_ARGUMENT",
        "Requested signature not found in model graph: nix",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_have_the_code_and_the_words_of_tensorflow_serving(served, case):
    kind, request, code, message = REFUSED[case]
    stub = served.prediction
    call = {"classify": stub.Classify, "regress": stub.Regress, "multi": stub.MultiInference}[kind]
    got = refusal(call, request)
    assert (got[0], got[1][: len(message)]) == (code, message)


def test_tasks_must_be_of_one_model(served):
    request = multi_request(("regress", REGRESS), ("classify", CLASSIFY))
    request.tasks[1].model_spec.name = "calculator"
    message = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
    assert refusal(served.prediction.MultiInference, request) == ("INVALID_ARGUMENT", message)
    request.tasks[1].model_spec.name = ""
    message = "Found ModelSpec with an empty model name."
    assert refusal(served.prediction.MultiInference, request) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize("bad", [example(y=1.0), example(x="text"), example(x=1)], ids=["absent", "text", "integer"])
def test_an_example_that_the_parser_refuses(served, bad):
    request = example_request("regress", "regress", 1.0)
    request.input.example_list.examples.append(bad)
    code, message = refusal(served.prediction.Regress, request)
    assert code == "INVALID_ARGUMENT"
    assert "Feature: x" in message or "Name: <unknown>" in message


def test_bytes_that_are_no_examples_are_refused(served):
    inner = inference_pb2.MultiInferenceRequest.FromString(multi_request(("regress", REGRESS)).SerializeToString())
    inner.input.example_list.examples[0].features.feature["x"].bytes_list.value.append(b"\xff\xfe")
    with pytest.raises(grpc.RpcError) as refused:
        served.prediction.MultiInference(inner, timeout=20)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
