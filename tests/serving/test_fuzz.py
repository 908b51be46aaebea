"""Random mutations of valid requests, for a few seconds: whatever comes, the answer is one the protocol knows.

A bug in a handler would show as UNKNOWN over gRPC and as 500 over REST; a crash would end the tests.
"""

import json
import random
import time
from collections.abc import Iterator

import grpc
import httpx
import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tests.serving.example_models import CLASSIFY, REGRESS, example_request, multi_request
from tests.serving.models import predict_request

SECONDS, LEAST, MOST = 2.5, 500, 5000
FINE_STATUSES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    # What gRPC says of bytes that are no message.
    "INTERNAL",
}
FINE_HTTP = {200, 400, 404, 413, 429, 501, 504}


def tries(seconds: float) -> Iterator[None]:
    """Turns for so many seconds, but as many as it takes to meet every usual status, also on a busy machine.

    The seeds are fixed, and so is the highest number of turns: no machine, however fast, tries what others never did.
    """
    end = time.monotonic() + seconds
    for number in range(MOST):
        if number >= LEAST and time.monotonic() > end:
            return
        yield


def requests() -> dict[str, bytes]:
    """Valid requests, serialized, by method."""
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "calculator"
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "calculator"
    x, n = np.ones([2, 2], np.float32), np.array([1, 2])
    made = {
        "PredictionService/Predict": predict_request("calculator", x=x, n=n, output_filter=("sum",)),
        "PredictionService/Classify": example_request("classify", "classify", 0.5, 1),
        "PredictionService/Regress": example_request("regress", "regress", 0.5, 1),
        "PredictionService/MultiInference": multi_request(("classify", CLASSIFY), ("regress", REGRESS)),
        "PredictionService/GetModelMetadata": metadata,
        "ModelService/GetModelStatus": status,
    }
    return {method: message.SerializeToString() for method, message in made.items()}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Data with a few bytes flipped, cut out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        kind = chance.randrange(4)
        if kind == 0 and place < len(changed):
            changed[place] = chance.randrange(256)
        elif kind == 1:
            del changed[place : place + chance.randint(1, 8)]
        elif kind == 2:
            changed[place:place] = changed[place : place + chance.randint(1, 16)]
        else:
            changed[place:place] = chance.randbytes(chance.randint(1, 4))
    return bytes(changed)


def test_mutated_messages(served):
    chance, seen, calls = random.Random(1), {}, requests()
    with grpc.insecure_channel(served.server.grpc_address) as channel:
        stubs = {
            method: channel.unary_unary(
                f"/tensorflow.serving.{method}", request_serializer=bytes, response_deserializer=bytes
            )
            for method in calls
        }
        for method, stub in stubs.items():
            assert stub(calls[method], timeout=20), method
        for _ in tries(SECONDS):
            method = chance.choice(list(calls))
            sent, status = mutated(calls[method], chance), "OK"
            try:
                stubs[method](sent, timeout=10)
            except grpc.RpcError as error:
                status = error.code().name
            assert status in FINE_STATUSES, (method, sent)
            seen[status] = seen.get(status, 0) + 1
    assert {"OK", "INVALID_ARGUMENT", "INTERNAL"} <= set(seen), seen


def test_tensors_of_every_type_and_shape(served):
    chance, seen = random.Random(2), set()
    signatures = ["", "echo", "count", "scalar", "total"]
    for _ in tries(SECONDS):
        request = predict_request("calculator", chance.choice(signatures))
        if chance.random() < 0.1:
            request = predict_request("calculator", "scalar", x=np.float64(chance.random()))
        for name in chance.sample(["x", "n", "text", "flag"], chance.randint(not request.inputs, 2)):
            tensor = request.inputs[name]
            tensor.Clear()
            tensor.dtype = chance.choice(list(types_pb2.DataType.values()))
            for _ in range(chance.randrange(4)):
                tensor.tensor_shape.dim.add(size=chance.choice([-1, 0, 1, 2, 3, 2**31, 2**62]))
            tensor.tensor_shape.unknown_rank = chance.random() < 0.1
            tensor.float_val.extend([1.5] * chance.randrange(3))
            tensor.int64_val.extend([2**62] * chance.randrange(3))
            tensor.string_val.extend([b"\xff"] * chance.randrange(3))
            tensor.tensor_content = chance.choice([b"", b"", b"12345678", b"123"])
        status = "OK"
        try:
            served.prediction.Predict(request, timeout=10)
        except grpc.RpcError as error:
            status = error.code().name
        assert status in FINE_STATUSES - {"INTERNAL"}, request
        seen.add(status)
    assert {"OK", "INVALID_ARGUMENT"} <= seen


BODIES = {
    "/v1/models/calculator:predict": [
        {"instances": [{"x": [1, 2.5], "n": 1}, {"x": [3, 4], "n": -2}]},
        {"signature_name": "echo", "inputs": ["a", {"b64": "YQ=="}]},
        {"signature_name": "count", "inputs": {"flag": [True, False]}},
    ],
    "/v1/models/reader/versions/3:classify": [{"signature_name": "classify", "examples": [{"x": 0.5}, {"x": [1.0]}]}],
    "/v1/models/reader:regress": [{"context": {"x": 1.0}, "examples": [{}, {"x": 2.0}]}],
}


def scrambled(value, chance: random.Random):
    """A JSON value with one of its parts replaced, wrapped or left out."""
    if chance.random() < 0.15:
        return chance.choice(
            [None, True, 0, -1, 2**70, 1e308, "", "\ud800", [], {}, {"b64": "!"}, [value], {"x": value}]
        )
    if isinstance(value, list):
        return [scrambled(item, chance) for item in value if chance.random() > 0.05]
    if isinstance(value, dict):
        return {
            key if chance.random() > 0.05 else "other": scrambled(item, chance)
            for key, item in value.items()
            if chance.random() > 0.05
        }
    return value


@pytest.mark.parametrize("way", ["values", "bytes", "paths"])
def test_mutated_bodies_and_paths(served, way):
    chance, seen = random.Random(way), set()
    with httpx.Client(base_url=served.url) as http:
        for _ in tries(SECONDS / 2):
            path = chance.choice(list(BODIES))
            value = chance.choice(BODIES[path])
            body = json.dumps(scrambled(value, chance) if way == "values" else value).encode()
            if way == "bytes":
                body = mutated(body, chance)
            if way == "paths":
                letters = list(path)
                letters[chance.randrange(4, len(letters))] = chance.choice(
                    ["/", ":", "%2f", "%00", "..", "é", "%", "A", ""]
                )
                path = "".join(letters)
            response = http.post(path, content=body, timeout=20)
            assert response.status_code in FINE_HTTP, (path, body, response.text)
            seen.add(response.status_code)
    assert {200, 400} <= seen
