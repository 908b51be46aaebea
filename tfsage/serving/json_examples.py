"""The JSON bodies of `:classify` and `:regress`: examples as plain objects in, `results` out."""

import grpc
import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, regression_pb2

from tfsage.serving.json_tensors import decode_base64, encode_text, is_base64
from tfsage.serving.json_values import decimal, echo, parse_object, type_name, write
from tfsage.serving.status import ServingError, invalid

_MAX_INT64 = 2**63 - 1
_KIND_WORDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64", None: "UNKNOWN"}


def fill_examples(
    body: bytes, request: classification_pb2.ClassificationRequest | regression_pb2.RegressionRequest
) -> None:
    """Reads the body of a classify or regress request.

    Raises:
        ServingError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    document = parse_object(body)
    request.model_spec.signature_name = document.signature
    fields = document.fields
    sent = request.input.example_list
    if "context" in fields:
        sent = request.input.example_list_with_context
        _fill_example(fields["context"], sent.context)
    if "examples" not in fields:
        raise invalid(
            f"JSON Value: {echo(fields)} When method is classify, key 'examples' is expected and was not found"
        )
    examples = fields["examples"]
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {echo(fields)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {echo(fields)} 'examples' value is an empty array")
    for value in examples:
        _fill_example(value, sent.examples.add())


def classification_body(result: classification_pb2.ClassificationResult) -> bytes:
    """`[label, score]` pairs of every example."""
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    return write(
        {
            "results": [
                [[one.label, decimal(np.float32(one.score))] for one in classifications.classes]
                for classifications in result.classifications
            ]
        }
    )


def regression_body(result: regression_pb2.RegressionResult) -> bytes:
    """A number for every example."""
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    return write({"results": [decimal(np.float32(one.value)) for one in result.regressions]})


def _fill_example(value: object, example: example_pb2.Example) -> None:
    example.SetInParent()
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    for name, content in value.items():
        feature = example.features.feature[encode_text(name).decode("utf-8", "replace")]
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)


def _add(value: object, name: str, feature: feature_pb2.Feature) -> None:
    if isinstance(value, str) or is_base64(value):
        kind, element = "bytes_list", decode_base64(value) if isinstance(value, dict) else encode_text(value)
    elif isinstance(value, bool | int):
        kind, element = "int64_list", int(value)
        if element > _MAX_INT64:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        if element < -_MAX_INT64 - 1:
            raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, f"Feature: {name} has an element below int64_t.")
    elif isinstance(value, float):
        kind, element = "float_list", value
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
    if feature.WhichOneof("kind") not in (None, kind):
        raise invalid(
            f"Unexpected element type in feature: {name} expecting type: {_KIND_WORDS[feature.WhichOneof('kind')]}"
        )
    getattr(feature, kind).value.append(element)
