"""The REST face of the embedded model server, with TensorFlow Serving's routes and error bodies."""

import asyncio
import re
import time
import zlib
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from tfsage.serving import metrics
from tfsage.serving.describe import SIGNATURE_DEF, model_metadata, model_status
from tfsage.serving.inference import classify, regress
from tfsage.serving.json_examples import classification_body, fill_examples, regression_body
from tfsage.serving.json_predict import InputInfo, fill_request, response_body
from tfsage.serving.json_values import write
from tfsage.serving.model import DEFAULT_SIGNATURE
from tfsage.serving.predict import predict
from tfsage.serving.registry import Registry
from tfsage.serving.status import ServingError, invalid

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION = re.compile(rf"(?i){_MODEL}:(?P<method>classify|regress|predict)")
_DESCRIPTION = re.compile(rf"(?i){_MODEL}(?:/(?P<metadata>metadata))?")
_MAX_INT64 = 2**63 - 1


class Target(NamedTuple):
    """What a path names."""

    spec: model_pb2.ModelSpec
    method: str | None
    metadata: bool


class TooLarge(Exception):
    """The body is larger than the server accepts."""


class Limits(NamedTuple):
    """What a client may ask of a server.

    Attributes:
        message_bytes: size of a request.
        requests: how many may be in flight; more are refused at once.
        seconds: how long reading a body may take, and how long a session may take for a call over REST.
    """

    message_bytes: int = 64 << 20
    requests: int = 1024
    seconds: float = 30.0


LIMITS = Limits()
"""The limits of a server that is not told otherwise."""


def rest_app(registry: Registry, limits: Limits = LIMITS, metrics_path: str | None = None) -> Starlette:
    """An ASGI application that answers for the models of `registry`.

    What exceeds the limits gets status 413 (size), 429 (requests in flight) or 408 (a body that does not arrive).

    Args:
        metrics_path: where Prometheus finds the metrics; None offers none.
    """
    in_flight = 0

    async def answer(request: Request) -> Response:
        nonlocal in_flight
        path = request.scope["raw_path"].decode("latin-1")
        if request.method == "GET" and path == metrics_path:
            return Response(metrics.page(), media_type="text/plain")
        if not path.lower().startswith("/v1/"):
            return HTMLResponse("<html><body><h1>Not Found</h1></body></html>", status_code=404)
        if request.method == "OPTIONS":
            return _preflight(request)
        if in_flight >= limits.requests:
            return _json(write({"error": f"more than {limits.requests} requests are in flight"}), 429)
        in_flight += 1
        try:
            return await _counted_answer(registry, request, path, limits)
        finally:
            in_flight -= 1

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


async def _counted_answer(registry: Registry, request: Request, path: str, limits: Limits) -> Response:
    started, name, method, status = time.perf_counter(), "", "", "OK"
    try:
        target = _target(request.method, path)
        name, method = target.spec.name, target.method or ""
        if request.method == "GET":
            body = await run_in_threadpool(_describe, registry, target)
        else:
            sent = await _read(request, limits)
            body = await run_in_threadpool(_ask, registry, target, sent, limits.seconds)
        metrics.request_latency.add(name, method, "REST", amount=(time.perf_counter() - started) * 1e6)
        return _json(body)
    except TooLarge:
        status = "RESOURCE_EXHAUSTED"
        return _json(write({"error": f"the request body exceeds {limits.message_bytes} bytes"}), 413)
    except TimeoutError:
        status = "DEADLINE_EXCEEDED"
        late = f"the request body did not arrive within {limits.seconds:g} s"
        return Response(write({"error": late}), 408, {"connection": "close"}, "application/json")
    except ServingError as error:
        status = error.code.name
        return _json(write({"error": error.message}), error.http_status)
    finally:
        metrics.request_count.add(name, status)


def _preflight(request: Request) -> Response:
    origin = request.headers.get("origin", "")
    return Response(status_code=200 if origin.startswith(("http://", "https://")) else 400)


def _target(method: str, path: str) -> Target:
    pattern = {"POST": _PREDICTION, "GET": _DESCRIPTION}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if method == "GET" and path.lower() == "/v1/models":
        raise invalid("Missing model name in request.")
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    found = match.groupdict()
    spec = model_pb2.ModelSpec(name=_unquote(found["name"]))
    if found["version"]:
        if int(found["version"]) > _MAX_INT64:
            raise invalid(f"Failed to convert version: {found['version']} to numeric.")
        spec.version.value = int(found["version"])
    if found["label"]:
        spec.version_label = _unquote(found["label"])
    return Target(spec, found.get("method"), bool(found.get("metadata")))


def _ask(registry: Registry, target: Target, body: bytes, seconds: float) -> bytes:
    try:
        if target.method == "predict":
            return _predict(registry, target, body, seconds)
        classifies = target.method == "classify"
        kind = classification_pb2.ClassificationRequest if classifies else regression_pb2.RegressionRequest
        request = kind(model_spec=target.spec)
        fill_examples(body, request)
        with registry.use(request.model_spec) as model:
            if classifies:
                return classification_body(classify(model, request, seconds).result)
            return regression_body(regress(model, request, seconds).result)
    except RecursionError:
        raise invalid("JSON Parse error: the document is nested too deeply") from None


def _predict(registry: Registry, target: Target, body: bytes, seconds: float) -> bytes:
    request = predict_pb2.PredictRequest(model_spec=target.spec)

    def inputs_of(signature: str) -> InputInfo:
        name = signature or DEFAULT_SIGNATURE
        signatures = registry.find(target.spec).meta_graph.signature_def
        if name not in signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return signatures[name].inputs

    form = fill_request(body, request, inputs_of)
    with registry.use(target.spec) as model:
        return response_body(predict(model, request, seconds), form)


def _describe(registry: Registry, target: Target) -> bytes:
    if not target.metadata:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=target.spec)
        return _proto_json(model_status(registry, request)).encode()
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=target.spec, metadata_field=[SIGNATURE_DEF])
    response = model_metadata(registry, request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    return (
        f'{{\n"model_spec":{_proto_json(response.model_spec)},\n'
        f'"metadata": {{"{SIGNATURE_DEF}": {_proto_json(signatures)}}}\n}}\n'
    ).encode()


def _proto_json(message: Message) -> str:
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


async def _read(request: Request, limits: Limits) -> bytes:
    body, limit = bytearray(), limits.message_bytes
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge
    except ClientDisconnect:
        raise ServingError(grpc.StatusCode.CANCELLED, "the client went away") from None
    if request.headers.get("content-encoding", "").lower() != "gzip":
        return bytes(body)
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = decompressor.decompress(bytes(body), limit)
    except zlib.error as error:
        raise invalid(f"the gzip body cannot be inflated: {error}") from None
    if decompressor.unconsumed_tail:
        raise TooLarge
    return plain


def _unquote(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")
