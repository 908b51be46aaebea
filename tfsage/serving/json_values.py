"""JSON as TensorFlow Serving reads and writes it (RapidJSON's dialect, see `json_tensor.cc`).

Text is handled with Python's `surrogateescape`, so that bytes which are not UTF-8 pass through unchanged both ways.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfsage.serving.status import invalid

_ECHO_LIMIT = 256
_HALF_PAIRS = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class RawNumber(str):
    """A number that is already written as JSON wants it."""


class Document(NamedTuple):
    """The body of a request: a JSON object, and the signature it names ("" is the default one)."""

    fields: dict
    signature: str


def parse_object(body: bytes) -> Document:
    """The JSON object of a request.

    Raises:
        ServingError: INVALID_ARGUMENT, with TensorFlow Serving's message.
    """
    fields = parse(body)
    if not isinstance(fields, dict):
        raise invalid(f"JSON Value: {echo(fields)} Is not object")
    signature = fields.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid(
            f"JSON Value: {echo(fields)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return Document(fields, signature.encode("utf-8", "replace").decode())


def parse(body: bytes) -> object:
    """The first JSON document of `body`; what follows it is ignored, and NaN and Infinity are numbers.

    Raises:
        ServingError: INVALID_ARGUMENT, with the offset of the mistake.
    """
    text = body.decode("utf-8-sig", "surrogateescape")
    if not text:
        raise invalid("JSON Parse error: The document is empty")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (RecursionError, ValueError) as error:
        raise invalid(f"JSON Parse error: {error} at offset: 0") from None


def write(value: object) -> bytes:
    """The JSON text of a value: objects indented by 4 spaces, arrays on one line."""
    text = "".join(_tokens(value))
    # An error message may quote half a surrogate pair, which has no bytes.
    return _HALF_PAIRS.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def echo(value: object) -> str:
    """The value as it is quoted in an error message: cut after about 256 characters."""
    lengths = itertools.accumulate((len(token) for token in _tokens(value)), initial=0)
    tokens = zip(_tokens(value), lengths, strict=False)
    return "".join(token[:_ECHO_LIMIT] for token, length in tokens if length < _ECHO_LIMIT)


def type_name(value: object) -> str:
    """RapidJSON's name of a value's type."""
    names = {type(None): "Null", str: "String", list: "Array", dict: "Object"}
    return str(value) if isinstance(value, bool) else names.get(type(value), "Number")


def decimal(value: np.floating) -> RawNumber:
    """A float or double in six significant digits if these give it back exactly, else in as many as it takes.

    Whole numbers keep a `.0`, so that a list of floats never looks like a list of integers.
    """
    if not np.isfinite(value):
        return RawNumber("NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity")
    text = f"{value:.6g}"
    if type(value)(text) != value:
        text = f"{value:.{9 if value.dtype == np.float32 else 17}g}"
    return RawNumber(text if "." in text or "e" in text else f"{text}.0")


def _tokens(value: object, indent: int = 0) -> Iterator[str]:
    if isinstance(value, RawNumber):
        yield str(value)
    elif isinstance(value, dict) and value:
        yield "{"
        for position, (key, item) in enumerate(value.items()):
            yield "," if position else ""
            yield "\n" + " " * (indent + 4) + _string(key) + ": "
            yield from _tokens(item, indent + 4)
        yield "\n" + " " * indent + "}"
    elif isinstance(value, list):
        yield "["
        for position, item in enumerate(value):
            yield ", " if position else ""
            yield from _tokens(item, indent)
        yield "]"
    else:
        yield _string(value) if isinstance(value, str) else json.dumps(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
