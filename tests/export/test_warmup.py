"""Warm-up records as TensorFlow Serving reads them."""

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from export.raw_features import raw_features
from export.warmup import product_requests, query_requests
from tests.export.fakes import product_tower, products_table
from tfsage.serving.model import Model
from tfsage.serving.warmup import replay_warmup_requests, write_warmup_requests


def records(folder):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        yield prediction_log_pb2.PredictionLog.FromString(record).predict_log.request


def test_query_records_cover_batch_sizes_and_lengths(towers):
    write_warmup_requests(towers.query_tower, query_requests(["red chair", "desk"]))
    requests = list(records(towers.query_tower))
    texts = [tf.make_ndarray(request.inputs["query"]).tolist() for request in requests]
    assert [len(batch) for batch in texts] == [1, 2, 4, 8, 16, 32, 1, 1, 1]
    lengths = [len(batch[0]) for batch in texts[6:]]
    assert lengths == [0, 1, 2000]
    assert {request.model_spec.signature_name for request in requests} == {"serving_default"}
    model = Model.load("query_tower", 1, towers.query_tower)
    assert replay_warmup_requests(model, towers.query_tower) == 9


def test_product_records_replay(towers):
    inputs = raw_features(products_table(4).to_batches()[0], product_tower().raw_signature, "image_embeddings")
    write_warmup_requests(towers.product_tower, product_requests(inputs))
    model = Model.load("product_tower", 1, towers.product_tower)
    assert replay_warmup_requests(model, towers.product_tower) == 2
