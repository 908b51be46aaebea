"""The REST face over a real port: routes, both body forms, HTTP status and wording of errors."""

import asyncio
import base64
import gzip
import json

import httpx
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_status_pb2

from tests.serving.models import predict_request
from tfsage.serving.rest import Limits, rest_app

GZIP = {"Content-Encoding": "gzip"}
PREDICT = "/v1/models/calculator:predict"


@pytest.fixture(scope="module")
def http(served):
    with httpx.Client(base_url=served.url) as client:
        yield client


def post(http, body: dict, path: str = PREDICT) -> httpx.Response:
    return http.post(path, json=body)


def test_row_and_column_form_give_the_vectors_of_grpc(served, http):
    texts = ["oak desk", ""]
    response = served.prediction.Predict(predict_request("query_tower", query=texts), timeout=20)
    expected = tf.make_ndarray(response.outputs["embedding"])
    for path in ("/v1/models/query_tower:predict", "/v1/models/query_tower/versions/1:predict"):
        rows = post(http, {"instances": texts}, path).json()["predictions"]
        named = post(http, {"instances": [{"query": text} for text in texts]}, path).json()["predictions"]
        columns = post(http, {"inputs": texts}, path).json()["outputs"]
        encoded = [{"b64": base64.b64encode(text.encode()).decode()} for text in texts]
        binary = post(http, {"inputs": {"query": encoded}}, path).json()["outputs"]
        for values in (rows, named, columns, binary):
            assert np.array_equal(np.array(values, np.float32), expected)


def test_several_outputs_are_named_and_types_are_kept(http):
    rows = post(http, {"instances": [{"x": [1, 2.5], "n": 1}, {"x": [3, 4], "n": -2}]})
    assert rows.headers["content-type"] == "application/json"
    assert rows.json() == {"predictions": [{"double": 2, "sum": [2.0, 3.5]}, {"double": -4, "sum": [1.0, 2.0]}]}
    assert '"sum": [2.0, 3.5]' in rows.text
    columns = post(http, {"inputs": {"x": [[1, 2]], "n": [1], "extra": "ignored"}})
    assert columns.json() == {"outputs": {"double": [2], "sum": [[2.0, 3.0]]}}


def test_signature_and_bytes_suffix(http):
    body = {"signature_name": "echo", "instances": [{"b64": "w6k="}, "a"], "unknown": 1}
    assert post(http, body).json() == {
        "predictions": [{"text": "é", "text_bytes": {"b64": "w6k="}}, {"text": "a", "text_bytes": {"b64": "YQ=="}}]
    }
    assert post(http, {"signature_name": "scalar", "inputs": 3}).json() == {"outputs": 1.5}


def test_bytes_that_are_not_utf8_and_gzip(http):
    body = b'{"signature_name": "echo", "inputs": ["\xff"]}'
    assert b'"text": ["\xff"]' in http.post(PREDICT, content=body).content
    packed = http.post(PREDICT, content=gzip.compress(body), headers=GZIP)
    assert b'"text_bytes": [{\n' in packed.content


def test_names_that_are_not_utf_8_are_unknown_names(http):
    answer = http.post("/v1/models/calculator:predict", content=b'{"instances": [{"x": [1, 2], "\xb7": 1}]}')
    assert answer.status_code == 400
    assert b"does not have named input: \xb7" in answer.content


BAD_BODIES = {
    "empty": (b"", 400, "JSON Parse error: The document is empty"),
    "no object": (b"[1]", 400, "JSON Value: [1] Is not object"),
    "signature is no string": (
        b'{"signature_name": 5}',
        400,
        "not formatted correctly. 'signature_name' key must be a",
    ),
    "unknown signature": (
        b'{"signature_name": "nix", "inputs": 1}',
        400,
        'Serving signature name: "nix" not found in signature def',
    ),
    "no inputs": (b"{}", 400, "Missing 'inputs' or 'instances' key"),
    "both": (
        b'{"inputs": [], "instances": []}',
        400,
        "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
    ),
    "instances is no list": (b'{"instances": 1}', 400, "Expecting 'instances' to be an list/array"),
    "no instances": (b'{"instances": []}', 400, "No values in 'instances' array"),
    "plain list, many inputs": (
        b'{"instances": [1]}',
        400,
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "plain value, many inputs": (
        b'{"inputs": [1]}',
        400,
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "object then list": (
        b'{"instances": [{"x": [1, 2], "n": 1}, [1]]}',
        400,
        "Expecting object but got list at item 1 of input list",
    ),
    "list then object": (
        b'{"signature_name": "echo", "instances": ["a", {"text": "b"}]}',
        400,
        "Expecting value/list but got object at item 1 of input list",
    ),
    "missing key": (
        b'{"instances": [{"x": [1, 2]}]}',
        400,
        "Failed to process element: 0 of 'instances' list. JSON object: ",
    ),
    "unknown key": (
        b'{"instances": [{"y": 1}]}',
        400,
        "Failed to process element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have "
        "named input: y",
    ),
    "size": (
        b'{"instances": [{"x": [1, 2], "n": 1}, {"x": [1], "n": 1}]}',
        400,
        "Failed to process element: 1 key: x of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 "
        "but got: 1",
    ),
    "shape": (
        b'{"instances": [{"x": [1, 2], "n": 1}, {"x": [[1, 2]], "n": 1}]}',
        400,
        "INVALID_ARGUMENT: Expecting shape [2] but got: [1,2]",
    ),
    "type": (
        b'{"instances": [{"n": 1.5, "x": [1, 2]}]}',
        400,
        "Failed to process element: 0 key: n of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 1.5 Type: "
        "Number is not of expected type: int64",
    ),
    "missing column": (b'{"inputs": {"x": [[1, 2]]}}', 400, "Missing named input: n in 'inputs' object."),
    "row form of a scalar": (
        b'{"signature_name": "total", "instances": [1.0, 2.0]}',
        400,
        "Tensor name: total has no shape information ",
    ),
    "rows that disagree": (
        b'{"signature_name": "count", "instances": [true, false]}',
        400,
        "Tensor name: total has inconsistent batch size: 1 expecting: 2",
    ),
    "too deep": (b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}", 400, "inputs is a plain value/list"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_bodies(http, case):
    body, status, message = BAD_BODIES[case]
    response = http.post(PREDICT, content=body)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert message in response.json()["error"]
    assert response.text.startswith('{\n    "error": ')


PATHS = {
    ("GET", "/v1/models"): (400, "Missing model name in request."),
    ("GET", "/v1/models/nix"): (404, "Could not find any versions of model nix"),
    ("GET", "/v1/models/calculator/versions/8"): (404, "Could not find version 8 of model calculator"),
    ("GET", "/v1/models/nix/metadata"): (404, "Servable not found for request: Latest(nix)"),
    ("GET", "/v1/models/..%2f..%2fetc"): (404, "Could not find any versions of model ../../etc"),
    ("GET", "/v1/models/calculator/versions/99999999999999999999"): (
        400,
        "Failed to convert version: 99999999999999999999 to numeric.",
    ),
    ("GET", "/v1/models/calculator:predict"): (400, "Malformed request: GET /v1/models/calculator:predict"),
    ("DELETE", "/v1/models/calculator"): (400, "Malformed request: DELETE /v1/models/calculator"),
    ("POST", "/v1/models/calculator"): (400, "Malformed request: POST /v1/models/calculator"),
    ("POST", "/v1/models/nix:predict"): (404, "Servable not found for request: Latest(nix)"),
    ("POST", "/v1/models/calculator/labels/stable:predict"): (400, "Unrecognized servable version label: stable"),
}


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_paths(http, method, path):
    status, message = PATHS[method, path]
    response = http.request(
        method, path, content=b'{"inputs": {"x": [[1, 2]], "n": [1]}}' if method == "POST" else None
    )
    assert (response.status_code, response.json()) == (status, {"error": message})


def test_outside_of_the_api_is_html(http):
    response = http.get("/index.html")
    assert response.status_code == 404
    assert "text/html" in response.headers["content-type"]


def test_status_is_the_proto(http):
    response = http.get("/V1/Models/calculator/versions/7")
    assert response.json() == {
        "model_version_status": [
            {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    parsed = json_format.Parse(response.text, get_model_status_pb2.GetModelStatusResponse())
    assert parsed.model_version_status[0].version == 7


def test_metadata(http):
    answer = http.get("/v1/models/calculator/metadata").json()
    assert answer["model_spec"] == {"name": "calculator", "signature_name": "", "version": "7"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signatures["serving_default"]["inputs"]["x"]["tensor_shape"]["dim"][0] == {"size": "-1", "name": ""}


def test_bodies_above_the_limit(registry):
    def status(limit: int, body: bytes, **headers) -> int:
        async def post() -> int:
            transport = httpx.ASGITransport(rest_app(registry, Limits(message_bytes=limit)))
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return (await client.post(PREDICT, content=body, headers=headers)).status_code

        return asyncio.run(post())

    body = json.dumps({"signature_name": "echo", "inputs": ["x" * 1000]}).encode()
    packed, bomb = gzip.compress(body), gzip.compress(body * 1000)
    assert status(2000, body) == 200
    assert status(1000, body) == 413
    assert status(2000, packed, **GZIP) == 200
    assert status(1000, packed, **GZIP) == 413
    assert len(bomb) < 10_000
    assert status(10_000, bomb, **GZIP) == 413
    assert status(10_000, b"no gzip", **GZIP) == 400


def test_options_are_for_browsers_alone(http):
    url = "/v1/models/calculator:predict"
    assert http.options(url, headers={"Origin": "https://shop.example"}).status_code == 200
    assert http.options(url).status_code == 400


def test_nothing_that_is_refused_is_allowed_by_another_verb(http):
    for verb in ("PUT", "PATCH", "DELETE"):
        response = http.request(verb, "/v1/models/calculator:predict", content=b"{}")
        assert (response.status_code, response.json()) == (
            400,
            {"error": f"Malformed request: {verb} /v1/models/calculator:predict"},
        )
