"""The JSON bodies of `:predict`: row form (`instances` to `predictions`) and column form (`inputs` to `outputs`)."""

import math
from collections.abc import Callable, Mapping
from typing import Literal

from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from tfsage.serving.json_tensors import append_value, is_base64, json_value
from tfsage.serving.json_values import echo, parse_object, write
from tfsage.serving.status import ServingError, invalid

Form = Literal["row", "column"]
InputInfo = Mapping[str, meta_graph_pb2.TensorInfo]


def fill_request(body: bytes, request: predict_pb2.PredictRequest, inputs_of: Callable[[str], InputInfo]) -> Form:
    """Reads a predict body into `request`.

    Args:
        inputs_of: gives the inputs of a signature by its name ("" is the default one).

    Returns:
        The form of the body, in which the answer must be written too.

    Raises:
        ServingError: INVALID_ARGUMENT with TensorFlow Serving's message, or what `inputs_of` raises.
    """
    document, signature = parse_object(body)
    request.model_spec.signature_name = signature
    # A map of a proto would not even look for a name that is not UTF-8.
    inputs = dict(inputs_of(signature))
    if not inputs:
        raise invalid(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {echo(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
            f"keys to exist "
        )
    if "instances" in document:
        _fill_rows(document, inputs, request)
        return "row"
    if "inputs" in document:
        _fill_columns(document["inputs"], inputs, request)
        return "column"
    raise invalid("Missing 'inputs' or 'instances' key")


def response_body(response: predict_pb2.PredictResponse, form: Form) -> bytes:
    """The answer as JSON; with a single output its values stand bare, with several they are keyed by name.

    Raises:
        ServingError: row form and an output without a batch dimension, or with another batch size than its siblings.
    """
    names = sorted(response.outputs)
    if form == "row":
        _check_batch(response, names)
    values = {name: json_value(name, response.outputs[name]) for name in names}
    single = values[names[0]] if len(names) == 1 else None
    if form == "column":
        return write({"outputs": values if single is None else single})
    if single is None:
        single = [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return write({"predictions": single})


def _fill_rows(document: dict, inputs: InputInfo, request: predict_pb2.PredictRequest) -> None:
    rows = document["instances"]
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {echo(document)} Expecting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {echo(document)} No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_object(rows[0])
    shapes: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        if _is_object(row) != named:
            expected = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {expected} at item {number} of input list")
        for name, value in row.items() if named else ((next(iter(inputs)), row),):
            try:
                _append_row(name, value, inputs, shapes, request)
            except ServingError as error:
                key = f" key: {name}" if named else ""
                raise invalid(
                    f"Failed to process element: {number}{key} of 'instances' list. "
                    f"Error: {error.code.name}: {error.message}"
                ) from None
        if named and set(row) != set(inputs):
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {echo(row)} "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    for name, shape in shapes.items():
        _set_shape(request.inputs[name], [len(rows), *shape])


def _append_row(
    name: str, value: object, inputs: InputInfo, shapes: dict[str, list[int]], request: predict_pb2.PredictRequest
) -> None:
    if name not in inputs:
        raise invalid(f"JSON object: does not have named input: {name}")
    proto = request.inputs[name]
    proto.dtype = inputs[name].dtype
    shape = append_value(value, proto)
    expected = shapes.setdefault(name, shape)
    size, expected_size = math.prod(shape), math.prod(expected)
    if size != expected_size:
        raise invalid(f"Expecting tensor size: {expected_size} but got: {size}")
    if shape != expected:
        raise invalid(f"Expecting shape {_shape_text(expected)} but got: {_shape_text(shape)}")


def _fill_columns(value: object, inputs: InputInfo, request: predict_pb2.PredictRequest) -> None:
    if not _is_object(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(inputs)): value}
    for name in sorted(inputs):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        proto = request.inputs[name]
        proto.dtype = inputs[name].dtype
        _set_shape(proto, append_value(value[name], proto))


def _check_batch(response: predict_pb2.PredictResponse, names: list[str]) -> None:
    batch = None
    for name in names:
        dimensions = response.outputs[name].tensor_shape.dim
        if not dimensions:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if batch not in (None, dimensions[0].size):
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {dimensions[0].size} expecting: {batch}")
        batch = dimensions[0].size


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _set_shape(proto: tensor_pb2.TensorProto, shape: list[int]) -> None:
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)


def _shape_text(shape: list[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
