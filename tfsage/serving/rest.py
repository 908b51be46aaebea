"""The REST face of the embedded model server: predict, status and metadata, with TensorFlow Serving's routes."""

import re
import zlib
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from tfsage.serving.describe import SIGNATURE_DEF, model_metadata, model_status
from tfsage.serving.json_predict import InputInfo, fill_request, response_body
from tfsage.serving.json_values import write
from tfsage.serving.model import DEFAULT_SIGNATURE
from tfsage.serving.predict import predict
from tfsage.serving.registry import Registry
from tfsage.serving.status import ServingError, invalid

TIMEOUT_SECONDS = 30.0

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


def rest_app(registry: Registry, max_body_bytes: int) -> Starlette:
    """An ASGI application that answers for the models of `registry`; larger bodies get status 413."""

    async def answer(request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        if not path.lower().startswith("/v1/"):
            return HTMLResponse("<html><body><h1>Not Found</h1></body></html>", status_code=404)
        try:
            target = _target(request.method, path)
            if request.method == "GET":
                return _json(await run_in_threadpool(_describe, registry, target))
            body = await _read(request, max_body_bytes)
            return _json(await run_in_threadpool(_predict, registry, target, body))
        except TooLarge:
            return _json(write({"error": f"the request body exceeds {max_body_bytes} bytes"}), 413)
        except ServingError as error:
            return _json(write({"error": error.message}), error.http_status)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


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


def _predict(registry: Registry, target: Target, body: bytes) -> bytes:
    if target.method != "predict":
        raise ServingError.unimplemented(target.method)
    request = predict_pb2.PredictRequest(model_spec=target.spec)

    def inputs_of(signature: str) -> InputInfo:
        name = signature or DEFAULT_SIGNATURE
        signatures = registry.find(target.spec).meta_graph.signature_def
        if name not in signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return signatures[name].inputs

    try:
        form = fill_request(body, request, inputs_of)
        return response_body(predict(registry.find(target.spec), request, TIMEOUT_SECONDS), form)
    except RecursionError:
        raise invalid("JSON Parse error: the document is nested too deeply") from None


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


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge
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
