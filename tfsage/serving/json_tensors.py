"""Nested JSON values to tensors and back, with TensorFlow Serving's rules and messages (`json_tensor.cc`)."""

import base64
import binascii
import math
from collections.abc import Callable

import grpc
from tensorflow.core.framework import tensor_pb2, types_pb2

from tfsage.serving.json_values import decimal, echo, type_name
from tfsage.serving.status import ServingError, invalid
from tfsage.serving.tensors import decode


def _integer(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_INT32 = ("int_val", _integer(-(2**31), 2**31 - 1))
_FIELD_AND_CHECK = {
    types_pb2.DT_FLOAT: ("float_val", _number),
    types_pb2.DT_DOUBLE: ("double_val", _number),
    types_pb2.DT_INT32: _INT32,
    types_pb2.DT_INT16: _INT32,
    types_pb2.DT_INT8: _INT32,
    types_pb2.DT_UINT8: _INT32,
    types_pb2.DT_INT64: ("int64_val", _integer(-(2**63), 2**63 - 1)),
    types_pb2.DT_UINT32: ("uint32_val", _integer(0, 2**32 - 1)),
    types_pb2.DT_UINT64: ("uint64_val", _integer(0, 2**64 - 1)),
    types_pb2.DT_BOOL: ("bool_val", lambda value: isinstance(value, bool)),
    types_pb2.DT_STRING: ("string_val", lambda value: isinstance(value, str)),
}
_BYTES_SUFFIX = "_bytes"


def is_base64(value: object) -> bool:
    """Whether a JSON value is `{"b64": "..."}`, which stands for a string of arbitrary bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def append_value(value: object, proto: tensor_pb2.TensorProto) -> list[int]:
    """Appends the values of a nested list (or of one bare value) to `proto`, whose dtype is set.

    Returns:
        The shape of the nesting; [] for a bare value.

    Raises:
        ServingError: ragged nesting, a value of the wrong type, or a dtype that JSON has no form for (UNIMPLEMENTED).
    """
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    _append(value, shape, 0, proto)
    return shape


def _append(value: object, shape: list[int], level: int, proto: tensor_pb2.TensorProto) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {echo(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        _append_leaf(value, proto)
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _append(item, shape, level + 1, proto)


def _append_leaf(value: object, proto: tensor_pb2.TensorProto) -> None:
    if proto.dtype not in _FIELD_AND_CHECK:
        message = f"Conversion of JSON Value: {echo(value)} to type: {dtype_name(proto.dtype)}"
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, message)
    field, accepts = _FIELD_AND_CHECK[proto.dtype]
    if proto.dtype == types_pb2.DT_STRING and isinstance(value, dict):
        converted = decode_base64(value)
    elif not accepts(value):
        raise invalid(
            f"JSON Value: {echo(value)} Type: {type_name(value)} is not of expected type: {dtype_name(proto.dtype)}"
        )
    else:
        converted = encode_text(value) if isinstance(value, str) else value
    getattr(proto, field).append(converted)


def encode_text(text: str) -> bytes:
    """The bytes of a JSON string; lone surrogates are refused (INVALID_ARGUMENT)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise invalid(f"JSON Parse error: The surrogate pair in string is invalid: {error.reason}") from None


def decode_base64(value: dict) -> bytes:
    """The bytes of a `{"b64": "..."}` object; anything else is refused (INVALID_ARGUMENT)."""
    if not is_base64(value):
        raise invalid(f"JSON Value: {echo(value)} not formatted correctly for base64 data")
    text = value["b64"].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def json_value(name: str, proto: tensor_pb2.TensorProto) -> object:
    """The nested list (or bare value) of an output tensor; strings are base64 objects when `name` ends in `_bytes`.

    Raises:
        ServingError: JSON has no form for the tensor's type (INVALID_ARGUMENT).
    """
    if proto.dtype not in _FIELD_AND_CHECK:
        raise invalid(f"Failed to write JSON value for tensor type: {dtype_name(proto.dtype)}")
    array = decode(proto)
    if array.dtype.kind == "f":
        return _nested([decimal(value) for value in array.ravel()], array.shape)
    if array.dtype.kind == "O":
        as_json = _base64_object if name.endswith(_BYTES_SUFFIX) else _as_text
        return _nested([as_json(value) for value in array.ravel()], array.shape)
    return array.tolist()


def _base64_object(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _as_text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _nested(values: list, shape: tuple[int, ...]) -> object:
    if not shape:
        return values[0]
    step = math.prod(shape[1:])
    return [_nested(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def dtype_name(dtype: int) -> str:
    """TensorFlow's C++ name of a type: `float`, `int64`, `string`, ..."""
    return types_pb2.DataType.Name(dtype).removeprefix("DT_").lower()
