"""Exported towers: the same vectors elsewhere, the right refusals, and weights that can still be trained."""

import subprocess
import sys

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from export.raw_features import raw_features
from tests.export.fakes import IMAGE, product_tower, products_table, query_tower
from tfsage.serving.model import Model
from tfsage.serving.ops_allowlist import check_servable_ops
from tfsage.serving.predict import predict
from tfsage.serving.status import ServingError

QUERIES = ["red chair", "", "a blue blue lamp", "nothing known"]

_FRESH = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_text
for model, inputs, out in zip(*[iter(sys.argv[1:])] * 3):
    serve = tf.saved_model.load(model).signatures["serving_default"]
    given = {name: tf.constant(value) for name, value in np.load(inputs, allow_pickle=False).items()}
    np.save(out, serve(**given)["embedding"])
assert not [name for name in sys.modules if name.split(".")[0] in ("tfsage", "export")]
"""


def product_inputs():
    batch = products_table(9).to_batches()[0]
    return raw_features(batch, product_tower().raw_signature, "image_embeddings")


def test_a_fresh_process_without_tfsage_computes_the_same(made_towers, tmp_path):
    query_inputs = {"query": np.array([text.encode() for text in QUERIES], object)}
    cases = [
        (made_towers.query_tower, query_tower(), query_inputs),
        (made_towers.product_tower, product_tower(), product_inputs()),
    ]
    words = []
    for place, (folder, _, inputs) in enumerate(cases):
        plain = {name: value.astype("S") if value.dtype == object else value for name, value in inputs.items()}
        np.savez(tmp_path / f"{place}.npz", **plain)
        words += [folder, tmp_path / f"{place}.npz", tmp_path / f"{place}.npy"]
    subprocess.run([sys.executable, "-c", _FRESH, *map(str, words)], cwd=tmp_path, check=True)
    for place, (_, tower, inputs) in enumerate(cases):
        vectors = np.load(tmp_path / f"{place}.npy")
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, tower.embed(inputs), atol=1e-5)


def test_prepared_features_give_the_same_vectors(made_towers):
    loaded = tf.saved_model.load(str(made_towers.product_tower))
    features = product_tower().featurize(product_inputs())
    vectors = loaded.signatures["token_ids"](**features)["embedding"]
    np.testing.assert_allclose(vectors, product_tower().embed(product_inputs()), atol=1e-5)


def test_signatures_are_those_of_the_contract(made_towers):
    query = tf.saved_model.load(str(made_towers.query_tower)).signatures
    assert list(query) == ["serving_default"]
    assert query["serving_default"].structured_input_signature[1] == {
        "query": tf.TensorSpec([None], tf.string, "query")
    }
    assert query["serving_default"].structured_outputs["embedding"].shape.as_list() == [None, 8]
    product = tf.saved_model.load(str(made_towers.product_tower)).signatures
    assert set(product) == {"serving_default", "token_ids"}
    images = product["serving_default"].structured_input_signature[1]["image_embeddings"]
    assert images.shape.as_list() == [None, None, IMAGE]


def test_inputs_of_the_wrong_rank_are_errors_of_the_graph(made_towers):
    """A model server feeds whatever arrives: without a check in the graph a matrix of strings gets an answer."""
    model = Model.load("query_tower", 1, made_towers.query_tower)
    assert answer(model, ["red chair"]).shape == (1, 8)
    for query in ("red chair", [["red", "chair"]], [["red chair"]]):
        with pytest.raises(ServingError, match="not compatible with expected shape") as caught:
            answer(model, query)
        assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def answer(model, query):
    request = predict_pb2.PredictRequest()
    request.inputs["query"].CopyFrom(tf.make_tensor_proto(query))
    return tf.make_ndarray(predict(model, request).outputs["embedding"])


def test_a_loaded_tower_can_be_fine_tuned(made_towers):
    loaded = tf.saved_model.load(str(made_towers.product_tower))
    assert len(loaded.trainable_variables) == len(product_tower().trainable_variables) == 2
    optimizer = tf.keras.optimizers.SGD(1.0)
    before = loaded.embed(product_inputs()).numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded.embed(product_inputs())[:, 0])
    gradients = tape.gradient(loss, loaded.trainable_variables)
    assert all(np.abs(tf.convert_to_tensor(gradient)).max() > 0 for gradient in gradients)
    optimizer.apply_gradients(zip(gradients, loaded.trainable_variables, strict=True))
    after = loaded.embed(product_inputs()).numpy()
    assert after[:, 0].sum() < before[:, 0].sum() - 0.1


def test_stock_tensorflow_serving_can_run_them(made_towers):
    assert check_servable_ops(made_towers.query_tower) == []
    assert check_servable_ops(made_towers.product_tower) == []
