"""Small SavedModels that take tf.Examples: a classifier, a regressor, and signatures that are neither."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.example import example_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
LABELS = [b"desk", b"lamp"]

EXAMPLES = tf.TensorSpec([None], tf.string, "inputs")


def _number(examples: tf.Tensor) -> tf.Tensor:
    return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]


class Reader(tf.Module):
    """Signatures over the feature `x` of tf.Examples."""

    @tf.function(input_signature=[EXAMPLES])
    def classify(self, inputs):
        x = _number(inputs)
        return {"classes": tf.tile([LABELS], [tf.shape(x)[0], 1]), "scores": tf.stack([x, 1 - x], 1)}

    @tf.function(input_signature=[EXAMPLES])
    def scores(self, inputs):
        return {"scores": _number(inputs)[:, None]}

    @tf.function(input_signature=[EXAMPLES])
    def labels(self, inputs):
        return {"classes": tf.tile([LABELS], [tf.shape(inputs)[0], 1])}

    @tf.function(input_signature=[EXAMPLES])
    def regress(self, inputs):
        return {"outputs": 2 * _number(inputs)}

    @tf.function(input_signature=[EXAMPLES])
    def column(self, inputs):
        return {"outputs": 3 * _number(inputs)[:, None]}

    @tf.function(input_signature=[EXAMPLES])
    def matrix(self, inputs):
        return {"outputs": tf.tile(_number(inputs)[:, None], [1, 2])}

    @tf.function(input_signature=[EXAMPLES])
    def double(self, inputs):
        return {"outputs": tf.cast(_number(inputs), tf.float64)}

    @tf.function(input_signature=[EXAMPLES])
    def summed(self, inputs):
        return {"outputs": tf.reduce_sum(_number(inputs))[None]}

    @tf.function(input_signature=[EXAMPLES])
    def flat(self, inputs):
        return {"scores": _number(inputs)}

    @tf.function(input_signature=[EXAMPLES])
    def numbers(self, inputs):
        return {"classes": _number(inputs)[:, None]}

    @tf.function(input_signature=[EXAMPLES])
    def three(self, inputs):
        x = _number(inputs)
        return {"scores": x[:, None], "a": x, "b": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "other")])
    def renamed(self, other):
        return {"outputs": _number(other)}

    @tf.function(input_signature=[EXAMPLES, tf.TensorSpec([None], tf.string, "more")])
    def two_inputs(self, inputs, more):
        return {"outputs": _number(inputs) + _number(more)}

    def save(self, folder: Path) -> None:
        """Saves it; `classify` and `regress` have the method names that older exports have."""
        names = "classify scores labels regress column matrix double summed flat numbers three renamed two_inputs"
        signatures = {name: getattr(self, name) for name in names.split()}
        tf.saved_model.save(self, str(folder), signatures={"serving_default": self.regress, **signatures})
        file = folder / "saved_model.pb"
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        defs = saved.meta_graphs[0].signature_def
        defs["classify"].method_name, defs["regress"].method_name = CLASSIFY, REGRESS
        file.write_bytes(saved.SerializeToString())


def example(**features: float | str | int) -> example_pb2.Example:
    made = example_pb2.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        if isinstance(value, float):
            feature.float_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value.encode())
    return made


def example_request(kind: str, signature: str, *values: float, model: str = "reader") -> Message:
    """A Classify (`classify`) or Regress (`regress`) request with one example per value of `x`."""
    makes = {"classify": classification_pb2.ClassificationRequest, "regress": regression_pb2.RegressionRequest}
    request = makes[kind]()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    request.input.example_list.examples.extend(example(x=float(value)) for value in values)
    return request


def multi_request(
    *tasks: tuple[str, str], values=(0.25,), model: str = "reader"
) -> inference_pb2.MultiInferenceRequest:
    """Tasks are (signature, method name)."""
    request = inference_pb2.MultiInferenceRequest()
    for signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = "reader", signature
    request.input.example_list.examples.extend(example(x=float(value)) for value in values)
    return request


def write_constant(folder: Path, value: float) -> None:
    """A SavedModel that answers `value` for every row; made of a graph alone, so that it is saved in milliseconds."""
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        y = tf.identity(x * 0 + np.float32(value), "y")
        tf.compat.v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})
