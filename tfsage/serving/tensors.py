"""TensorProto to NumPy and back, as TensorFlow Serving reads requests and writes responses."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

MAX_FILLED_VALUES = 1 << 20
"""A tensor may claim more values than it carries (the last is repeated), but not more than these."""

MAX_SPAN = 1 << 40
"""The product of the dimensions that are not zero, also of an empty tensor: NumPy holds no array far beyond it."""

TYPED_FIELD = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def decode(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The array a TensorProto stands for, whether it is written in typed fields or as raw content.

    As in TensorFlow's C++ reader, missing values repeat the last one (zero or "" when there is none) and surplus
    values are dropped.

    Returns:
        An array of the proto's shape and type; strings are Python `bytes` in an object array.

    Raises:
        ValueError: the type is unknown or unsupported, a dimension is negative, the shape exceeds `MAX_SPAN`, the
            content has another length than the shape needs, or a short message claims more than `MAX_FILLED_VALUES`
            values.
    """
    try:
        dtype = tf.as_dtype(proto.dtype)
        field = TYPED_FIELD[dtype]
    except (TypeError, KeyError):
        raise ValueError(f"unsupported tensor type {proto.dtype}") from None
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    if any(size < 0 for size in shape):
        raise ValueError(f"negative dimension in {shape}")
    if math.prod(size for size in shape if size) > MAX_SPAN:
        raise ValueError(f"shape {shape} is too large")
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype.as_numpy_dtype).reshape(shape)
    count = math.prod(shape)
    values = getattr(proto, field)[:count]
    if count > max(len(values), MAX_FILLED_VALUES):
        raise ValueError(f"shape {shape} for {len(values)} values")
    # The field of the small integers is wider than they are; C++ wraps what does not fit.
    sent_type = np.int64 if field == "int_val" else dtype.as_numpy_dtype
    array = np.full(count, b"", object) if dtype == tf.string else np.zeros(count, dtype.as_numpy_dtype)
    if values:
        array[: len(values)] = np.array(values, sent_type).astype(array.dtype)
        array[len(values) :] = array[len(values) - 1]
    return array.reshape(shape)


def encode(array: np.ndarray) -> tensor_pb2.TensorProto:
    """The TensorProto of an array, its values in the typed field of its type (`float_val`, `string_val`, ...)."""
    dtype = tf.as_dtype(array.dtype)
    if dtype not in TYPED_FIELD:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, TYPED_FIELD[dtype]).extend(array.ravel().tolist())
    return proto
