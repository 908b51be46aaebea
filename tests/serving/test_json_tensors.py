"""Nested JSON to tensors and back: values, types and shapes, and the messages of what does not fit."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from tfsage.serving.json_tensors import append_value, json_value
from tfsage.serving.status import ServingError


def filled(dtype, value) -> tuple[list[int], np.ndarray]:
    proto = tensor_pb2.TensorProto(dtype=dtype)
    shape = append_value(value, proto)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return shape, tf.make_ndarray(proto)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (types_pb2.DT_FLOAT, [[1, 2.5], [float("inf"), -3]]),
        (types_pb2.DT_DOUBLE, 2**70),
        (types_pb2.DT_INT32, [-(2**31), 2**31 - 1]),
        (types_pb2.DT_INT64, [[-(2**63)], [2**63 - 1]]),
        (types_pb2.DT_UINT64, [2**64 - 1]),
        (types_pb2.DT_BOOL, [True, False]),
        (types_pb2.DT_FLOAT, [[], []]),
    ],
)
def test_values_and_shape_are_kept(dtype, value):
    shape, array = filled(dtype, value)
    assert shape == list(np.shape(value))
    np.testing.assert_array_equal(array, np.array(value, array.dtype))


def test_strings_may_be_text_or_base64():
    _, array = filled(types_pb2.DT_STRING, ["é", {"b64": "/wA="}, {"b64": "YWI"}, {"b64": ""}])
    assert array.tolist() == ["é".encode(), b"\xff\0", b"ab", b""]


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        (types_pb2.DT_FLOAT, ["a"], 'JSON Value: "a" Type: String is not of expected type: float'),
        (types_pb2.DT_FLOAT, [True], "JSON Value: true Type: True is not of expected type: float"),
        (types_pb2.DT_INT64, [1.0], "JSON Value: 1.0 Type: Number is not of expected type: int64"),
        (types_pb2.DT_INT32, [2**31], "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
        (types_pb2.DT_UINT32, [-1], "JSON Value: -1 Type: Number is not of expected type: uint32"),
        (types_pb2.DT_BOOL, [1], "JSON Value: 1 Type: Number is not of expected type: bool"),
        (types_pb2.DT_STRING, [None], "JSON Value: null Type: Null is not of expected type: string"),
        (types_pb2.DT_STRING, [{"a": "b"}], 'JSON Value: {\n    "a": "b"\n} not formatted correctly for base64 data'),
        (types_pb2.DT_STRING, [{"b64": "!"}], "Unable to base64 decode"),
        (types_pb2.DT_FLOAT, [{"b64": "YQ=="}], "JSON Value: {"),
        (types_pb2.DT_FLOAT, [[1, 2], [3]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        (
            types_pb2.DT_FLOAT,
            [[1], 2],
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (types_pb2.DT_FLOAT, [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        (types_pb2.DT_STRING, ["\ud800"], "JSON Parse error: The surrogate pair in string is invalid"),
    ],
)
def test_what_does_not_fit_is_an_invalid_argument(dtype, value, message):
    with pytest.raises(ServingError) as refused:
        append_value(value, tensor_pb2.TensorProto(dtype=dtype))
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert refused.value.message.startswith(message)


def test_types_without_a_json_form():
    with pytest.raises(ServingError) as refused:
        append_value([1], tensor_pb2.TensorProto(dtype=types_pb2.DT_COMPLEX64))
    assert (refused.value.code.name, refused.value.message) == (
        "UNIMPLEMENTED",
        "Conversion of JSON Value: 1 to type: complex64",
    )
    with pytest.raises(ServingError, match="Failed to write JSON value for tensor type: complex64"):
        json_value("y", tf.make_tensor_proto(np.ones(2, np.complex64)))


@pytest.mark.parametrize(
    ("name", "array", "value"),
    [
        ("y", np.array([[0.5], [1]], np.float32), [["0.5"], ["1.0"]]),
        ("y", np.array(7), 7),
        ("y", np.array([[True]]), [[True]]),
        ("y", np.zeros([2, 0], np.float32), [[], []]),
        ("y", np.array([b"\xc3\xa9"], object), ["é"]),
        ("y_bytes", np.array([b"\xff\0"], object), [{"b64": "/wA="}]),
        ("y_bytes", np.array([1]), [1]),
    ],
)
def test_outputs(name, array, value):
    assert json_value(name, tf.make_tensor_proto(array)) == value
