"""Requests that a model server replays before it offers a tower, so that no user's request pays for the first run."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tfsage.serving.query_text import MAX_QUERY_CHARACTERS

BATCH_SIZES = (1, 2, 4, 8, 16, 32)


def query_requests(texts: list[str]) -> Iterator[predict_pb2.PredictRequest]:
    """One request per batch size, of real queries; then an empty query, one letter, and the longest that is allowed."""
    for size in BATCH_SIZES:
        yield _request("query_tower", {"query": [texts[place % len(texts)] for place in range(size)]})
    longest = (" ".join(texts) + " ") * MAX_QUERY_CHARACTERS
    for text in ("", "a", longest[:MAX_QUERY_CHARACTERS]):
        yield _request("query_tower", {"query": [text]})


def product_requests(inputs: dict[str, np.ndarray]) -> Iterator[predict_pb2.PredictRequest]:
    """The raw inputs of some products as one request, and the first of them alone."""
    yield _request("product_tower", inputs)
    yield _request("product_tower", {name: values[:1] for name, values in inputs.items()})


def _request(model: str, inputs: dict) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return request
