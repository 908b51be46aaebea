"""tf.Example inputs: what Classify, Regress and MultiInference feed to a model, and the signatures that take it.

Read beside `classifier.cc`, `regressor.cc` and `util.cc` of TensorFlow Serving, whose words the refusals have.
"""

from typing import NamedTuple

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from tfsage.serving.model import DEFAULT_SIGNATURE, Model, Signature
from tfsage.serving.status import ServingError, invalid

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"


def example_strings(sent: input_pb2.Input) -> np.ndarray:
    """The serialized examples, bytes [n]; a context is put before each, so that an example's own features win.

    Raises:
        ServingError: there are none (INVALID_ARGUMENT).
    """
    kind = sent.WhichOneof("kind")
    examples = [] if kind is None else getattr(sent, kind).examples
    if not examples:
        raise invalid("Input is empty.")
    context = sent.example_list_with_context.context.SerializeToString() if kind == "example_list_with_context" else b""
    try:
        strings = [context + example.SerializeToString() for example in examples]
    except DecodeError:
        raise ServingError(grpc.StatusCode.INTERNAL, "Error parsing serialized input.") from None
    return np.array(strings, object)


class Classifier(NamedTuple):
    """A signature that classifies: `inputs`, and `classes`, `scores` or both."""

    signature: Signature

    @classmethod
    def of(cls, signature: Signature) -> "Classifier":
        """Checks the signature, and raises ServingError (INVALID_ARGUMENT) if it does not classify."""
        inputs, outputs = signature.proto.inputs, signature.proto.outputs
        if len(inputs) != 1:
            raise invalid("Expected one input Tensor.")
        if len(outputs) not in (1, 2):
            raise invalid(f"Expected one or two output Tensors, found {len(outputs)}")
        if INPUTS not in inputs:
            raise invalid(f"No classification inputs found in SignatureDef: {signature.proto}")
        if not {CLASSES, SCORES} & set(outputs):
            raise invalid(
                f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
                f"Signature was: {signature.proto}"
            )
        return cls(signature)

    @property
    def fetches(self) -> list[tf.Tensor]:
        return [self.signature.outputs[name] for name in (CLASSES, SCORES) if name in self.signature.outputs]

    def fill(self, result: classification_pb2.ClassificationResult, values: dict, examples: int) -> None:
        """Writes the classes of every example, from the values of `fetches`."""
        outputs = self.signature.outputs
        classes = _checked_classes("classes", np.dtype(object), values.get(outputs.get(CLASSES)), examples)
        scores = _checked_classes("scores", np.dtype(np.float32), values.get(outputs.get(SCORES)), examples)
        if classes is not None and scores is not None and classes.shape != scores.shape:
            raise invalid(
                f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
            )
        for row in range(examples):
            classifications = result.classifications.add()
            for column in range((scores if classes is None else classes).shape[1]):
                one = classifications.classes.add()
                if classes is not None:
                    one.label = classes[row, column].decode("utf-8", "replace")
                if scores is not None:
                    one.score = scores[row, column]


class Regressor(NamedTuple):
    """A signature that regresses: `inputs` and `outputs`."""

    signature: Signature

    @classmethod
    def of(cls, signature: Signature) -> "Regressor":
        """Checks the signature, and raises ServingError (INVALID_ARGUMENT) if it does not regress."""
        inputs, outputs = signature.proto.inputs, signature.proto.outputs
        if len(inputs) != 1:
            raise invalid("Expected one input Tensor.")
        if len(outputs) != 1:
            raise invalid("Expected one output Tensor.")
        if INPUTS not in inputs:
            raise invalid(f"No regression inputs found in SignatureDef: {signature.proto}")
        if OUTPUTS not in outputs:
            raise invalid(f"No regression outputs found in SignatureDef: {signature.proto}")
        return cls(signature)

    @property
    def fetches(self) -> list[tf.Tensor]:
        return [self.signature.outputs[OUTPUTS]]

    def fill(self, result: regression_pb2.RegressionResult, values: dict, examples: int) -> None:
        """Writes the number of every example, from the values of `fetches`."""
        numbers = np.asarray(values[self.signature.outputs[OUTPUTS]])
        if not (numbers.ndim == 1 or (numbers.ndim == 2 and numbers.shape[1] == 1)):
            raise invalid(
                f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(numbers)}"
            )
        if len(numbers) != examples:
            raise invalid(f"Input batch size did not match output batch size: {examples} vs. {len(numbers)}")
        if numbers.dtype != np.float32:
            raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_type(numbers)}")
        for number in numbers.ravel():
            result.regressions.add(value=number)


def named_signature(model: Model, name: str, missing: str) -> Signature:
    """The signature of a request, whose empty name means the default one; `missing` opens the refusal."""
    key = name or DEFAULT_SIGNATURE
    if key not in model.signatures:
        raise invalid(f"{missing}: {key}")
    return model.signatures[key]


def _checked_classes(name: str, dtype: np.dtype, values: np.ndarray | None, examples: int) -> np.ndarray | None:
    if values is None:
        return None
    values = np.asarray(values)
    if values.ndim != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(values)}")
    if values.dtype != dtype:
        expected = "DT_STRING" if dtype.kind == "O" else "DT_FLOAT"
        raise invalid(f"Expected {name} Tensor of {expected}. Got: {_type(values)}")
    if len(values) != examples:
        raise invalid(f"Expected {name} output batch size of {examples}. Got: {len(values)}")
    return values


def _shape(array: np.ndarray) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"


def _type(array: np.ndarray) -> str:
    return f"DT_{tf.as_dtype(array.dtype).name.upper().replace('FLOAT64', 'DOUBLE').replace('FLOAT32', 'FLOAT')}"
