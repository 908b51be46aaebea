"""The table of research: every refusal of Predict with TensorFlow Serving's status code and wording, over gRPC."""

import grpc
import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from tests.serving.models import predict_request

X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
N = np.array([10, 20], np.int64)
BAD_SIZE = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"123")
BAD_SIZE.tensor_shape.dim.add(size=2)


def unnamed(text: str = "") -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = text
    return request


def labelled(label: str) -> predict_pb2.PredictRequest:
    request = predict_request("calculator", x=X, n=N)
    request.model_spec.version_label = label
    return request


REFUSED = {
    "no model spec": (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no name": (unnamed(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "unknown model": (predict_request("nix"), "NOT_FOUND", "Servable not found for request: Latest(nix)"),
    "path as name": (
        predict_request("../../etc/passwd"),
        "NOT_FOUND",
        "Servable not found for request: Latest(../../etc/passwd)",
    ),
    "unknown version": (
        predict_request("calculator", version=3, x=X, n=N),
        "NOT_FOUND",
        "Servable not found for request: Specific(calculator, 3)",
    ),
    "unknown label": (labelled("stable"), "INVALID_ARGUMENT", "Unrecognized servable version label: stable"),
    "unknown signature wins over bad inputs": (
        predict_request("calculator", "nix", y=X),
        "FAILED_PRECONDITION",
        'Serving signature key "nix" not found.',
    ),
    "too few inputs": (
        predict_request("calculator", x=X),
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({x}) != len({n,x}). Sent extra: {}. Missing but required: {n}.",
    ),
    "no inputs": (
        predict_request("query_tower"),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({query}). Sent extra: {}. "
        "Missing but required: {query}.",
    ),
    "too many inputs": (
        predict_request("query_tower", query=[b"a"], z=X, y=X),
        "INVALID_ARGUMENT",
        "input size does not match signature: 3!=1 len({query,y,z}) != len({query}). Sent extra: {y,z}. "
        "Missing but required: {}.",
    ),
    "wrong input name": (
        predict_request("query_tower", text=[b"a"]),
        "INVALID_ARGUMENT",
        "Signature input alias: query(feed name: serving_default_query:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {text}, or default input alias set: ",
    ),
    "undecodable tensor wins over a bad filter": (
        predict_request("calculator", x=BAD_SIZE, n=N, output_filter=("nix",)),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    "wrong type": (
        predict_request("query_tower", query=np.zeros(2, np.float32)),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be string but float is provided",
    ),
    "unknown output": (
        predict_request("calculator", x=X, n=N, output_filter=("sum", "nix")),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: nix Outputs expected to be in the set {double,sum}.",
    ),
    "output asked for twice": (
        predict_request("calculator", x=X, n=N, output_filter=("sum", "sum")),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: sum",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_have_the_code_and_the_words_of_tensorflow_serving(served, case):
    request, code, message = REFUSED[case]
    with pytest.raises(grpc.RpcError) as refused:
        served.prediction.Predict(request, timeout=20)
    assert (refused.value.code().name, refused.value.details()) == (code, message)


@pytest.mark.parametrize("query", [np.array(b"a", object), np.array([[b"a", b"b"]], object)], ids=["scalar", "matrix"])
def test_a_wrong_rank_is_left_to_the_graph_whose_check_answers(served, query):
    with pytest.raises(grpc.RpcError) as refused:
        served.prediction.Predict(predict_request("query_tower", query=query), timeout=20)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "is not compatible with expected shape [?]" in refused.value.details()


def test_shapes_are_not_compared_with_the_placeholder(served):
    """TensorFlow Serving feeds what it gets: one number reaches the kernel where the signature declares [?, 2]."""
    sent = predict_request("calculator", x=np.array([[1.0]], np.float32), n=np.array([5]))
    assert served.prediction.Predict(sent, timeout=20).outputs["sum"].float_val == [6.0]


def test_the_answer_names_model_version_and_signature(served):
    response = served.prediction.Predict(predict_request("calculator", x=X, n=N), timeout=20)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("calculator", 7, "serving_default")
    assert spec.WhichOneof("version_choice") == "version"


def test_a_call_without_a_deadline_is_answered(served):
    assert served.prediction.Predict(predict_request("calculator", "scalar", x=np.float64(3))).outputs[
        "half"
    ].double_val == [1.5]


def test_values_arrive_in_typed_fields_and_a_filter_limits_them(served):
    every = served.prediction.Predict(predict_request("calculator", x=X, n=N), timeout=20).outputs
    assert list(every["sum"].float_val) == [11.0, 12.0, 23.0, 24.0]
    assert [dimension.size for dimension in every["sum"].tensor_shape.dim] == [2, 2]
    assert list(every["double"].int64_val) == [20, 40]
    assert not every["sum"].tensor_content
    some = served.prediction.Predict(predict_request("calculator", x=X, n=N, output_filter=("double",)), timeout=20)
    assert set(some.outputs) == {"double"}


def test_zero_rows_are_answered_with_zero_rows(served):
    response = served.prediction.Predict(predict_request("query_tower", query=np.array([], object)), timeout=20)
    assert [dimension.size for dimension in response.outputs["embedding"].tensor_shape.dim] == [0, 16]


@pytest.mark.parametrize("text", [b"", b"x" * 100_000, b"word " * 20_000, b"\xff\xfe broken", b"a\0b"])
def test_no_text_brings_the_server_down(served, text):
    response = served.prediction.Predict(predict_request("query_tower", query=[text]), timeout=20)
    vector = np.array(response.outputs["embedding"].float_val)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
