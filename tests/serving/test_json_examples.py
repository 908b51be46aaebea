"""`:classify` and `:regress` over a real port."""

import httpx
import pytest
from tensorflow_serving.apis import classification_pb2, regression_pb2

from tfsage.serving.json_examples import classification_body, fill_examples, regression_body
from tfsage.serving.status import ServingError

READER = "/v1/models/reader"


@pytest.fixture(scope="module")
def http(served):
    with httpx.Client(base_url=served.url) as client:
        yield client


def test_regress_with_and_without_a_context(http):
    plain = http.post(f"{READER}:regress", json={"examples": [{"x": 0.5}, {"x": [2.0]}]})
    assert (plain.status_code, plain.json()) == (200, {"results": [1.0, 4.0]})
    assert '"results": [1.0, 4.0]' in plain.text
    body = {"signature_name": "column", "context": {"x": 1.0}, "examples": [{}, {"x": 2.0}]}
    assert http.post(f"{READER}/versions/3:regress", json=body).json() == {"results": [3.0, 6.0]}


def test_classify(http):
    answer = http.post(f"{READER}:classify", json={"signature_name": "classify", "examples": [{"x": 0.25}]})
    assert answer.json() == {"results": [[["desk", 0.25], ["lamp", 0.75]]]}


def test_refusals_come_with_their_status(http):
    missing = http.post(f"{READER}:classify", json={"signature_name": "nix", "examples": [{"x": 0.25}]})
    assert (missing.status_code, missing.json()) == (400, {"error": "No signature was found with the name: nix"})
    unknown = http.post("/v1/models/nix:regress", json={"examples": [{"x": 0.25}]})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Servable not found for request: Latest(nix)"})
    label = http.post(f"{READER}/labels/stable:regress", json={"examples": [{"x": 0.25}]})
    assert label.json() == {"error": "Unrecognized servable version label: stable"}


def test_every_kind_of_feature():
    request = regression_pb2.RegressionRequest()
    fill_examples(
        b'{"signature_name": "s", "examples": [{"i": [1, -2], "f": [1.0, 2e3], "b": true, "s": '
        b'["\xff", {"b64": "AAE="}], "none": []}, {}]}',
        request,
    )
    assert request.model_spec.signature_name == "s"
    feature = request.input.example_list.examples[0].features.feature
    assert list(feature["i"].int64_list.value) == [1, -2]
    assert list(feature["f"].float_list.value) == [1.0, 2000.0]
    assert list(feature["b"].int64_list.value) == [1]
    assert list(feature["s"].bytes_list.value) == [b"\xff", b"\0\1"]
    assert feature["none"].WhichOneof("kind") is None
    assert len(request.input.example_list.examples) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "JSON Value: [] Is not object"),
        (b"{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        (b'{"examples": 1}', "Expecting 'examples' value to be an list/array"),
        (b'{"examples": []}', "'examples' value is an empty array"),
        (b'{"examples": [1]}', "Example must be JSON object but got JSON Number"),
        (b'{"context": [], "examples": [{}]}', "Example must be JSON object but got JSON Array"),
        (b'{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        (b'{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        (b'{"examples": [{"x": {"y": 1}}]}', "Feature: x has element with unexpected JSON type: Object"),
        (b'{"examples": [{"x": [1, 2.5]}]}', "Unexpected element type in feature: x expecting type: int64"),
        (b'{"examples": [{"x": ["a", 1]}]}', "Unexpected element type in feature: x expecting type: bytes"),
        (b'{"examples": [{"x": 9223372036854775808}]}', "Feature: x has uint64_t element. Only int64_t is supported."),
        (b'{"examples": [{"x": -9223372036854775809}]}', "Feature: x has an element below int64_t."),
        (b'{"examples": [{"x": {"b64": "!"}}]}', "Unable to base64 decode"),
    ],
)
def test_bad_bodies(body, message):
    with pytest.raises(ServingError) as refused:
        fill_examples(body, classification_pb2.ClassificationRequest())
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert refused.value.message.endswith(message)


def test_nothing_to_write():
    with pytest.raises(ServingError, match="^Cannot convert empty ClassificationResults to JSON$"):
        classification_body(classification_pb2.ClassificationResult())
    with pytest.raises(ServingError, match="^Cannot convert empty RegressionResults to JSON$"):
        regression_body(regression_pb2.RegressionResult())
