"""TensorProto codec: against TensorFlow's own, and where TensorFlow's C++ reader is more lenient, against its rules."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from tfsage.serving.tensors import MAX_FILLED_VALUES, decode, encode

ARRAYS = [
    np.array([[0.5, -2.0], [np.inf, 1e-30]], np.float32),
    np.array([1 / 3, -1e300]),
    np.array([[[-128, 127]]], np.int8),
    np.array([-(2**15), 2**15 - 1], np.int16),
    np.array(-(2**31), np.int32),
    np.array([-(2**63), 2**63 - 1]),
    np.array([0, 255], np.uint8),
    np.array([0, 2**16 - 1], np.uint16),
    np.array([0, 2**32 - 1], np.uint32),
    np.array([0, 2**64 - 1], np.uint64),
    np.array([True, False]),
    np.array([b"", b"\xff\0", "é".encode()], object),
    np.zeros([0, 3], np.float32),
    np.array([], object),
]


def proto(dtype, shape=(), **fields) -> tensor_pb2.TensorProto:
    made = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_what_is_encoded_means_the_same_to_tensorflow_and_to_us(array):
    encoded = encode(array)
    assert not encoded.tensor_content
    for decoded in (tf.make_ndarray(encoded), decode(encoded), decode(tf.make_tensor_proto(array))):
        assert decoded.shape == array.shape
        assert decoded.dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(decoded, array)


def test_raw_content_is_read():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = tf.make_tensor_proto(array)
    assert content.tensor_content
    np.testing.assert_array_equal(decode(content), array)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (proto(types_pb2.DT_FLOAT, [3], float_val=[1, 2]), [1, 2, 2]),
        (proto(types_pb2.DT_FLOAT, [2]), [0, 0]),
        (proto(types_pb2.DT_INT64, [2], int64_val=[1, 2, 3]), [1, 2]),
        (proto(types_pb2.DT_STRING, [2]), [b"", b""]),
        (proto(types_pb2.DT_STRING, [2], string_val=[b"", b"", b"a"]), [b"", b""]),
        (proto(types_pb2.DT_STRING, [3], string_val=[b"a"]), [b"a", b"a", b"a"]),
        (proto(types_pb2.DT_INT8, [1], int_val=[300]), [44]),
    ],
)
def test_too_few_and_too_many_values_are_read_as_cpp_reads_them(sent, meant):
    assert decode(sent).tolist() == meant


@pytest.mark.parametrize(
    "sent",
    [
        proto(types_pb2.DT_FLOAT, [2], tensor_content=b"123"),
        proto(types_pb2.DT_FLOAT, [3], tensor_content=b"12345678"),
        proto(types_pb2.DT_FLOAT, [-1, -1], float_val=[1]),
        proto(types_pb2.DT_STRING, [-1], string_val=[b"a"]),
        proto(types_pb2.DT_STRING, [1], tensor_content=b"12345678"),
        proto(9999),
        proto(types_pb2.DT_INVALID),
        proto(types_pb2.DT_RESOURCE),
        proto(types_pb2.DT_FLOAT, [MAX_FILLED_VALUES + 1]),
        proto(types_pb2.DT_STRING, [2**40, 2**40]),
        proto(types_pb2.DT_BOOL, [0, 2**62, 0]),
    ],
)
def test_what_makes_no_tensor_is_refused(sent):
    with pytest.raises(ValueError):
        decode(sent)
