"""The gRPC face: the vectors of the SavedModel, model status, metadata, and what it declines."""

import subprocess
import sys

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from tests.serving.models import predict_request
from tests.serving.wire import refusal

TEXTS = ["Walnut  DESK", "", "a", "ünïcödé 漢字", "word " * 500]

IN_A_FRESH_PROCESS = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_text
tower = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
np.save(sys.argv[2], tower(query=tf.constant(sys.argv[3:]))["embedding"].numpy())
"""


def test_a_stock_client_gets_the_vectors_of_the_savedmodel_in_a_fresh_process(served, bundle, tmp_path):
    file = tmp_path / "vectors.npy"
    subprocess.run([sys.executable, "-c", IN_A_FRESH_PROCESS, bundle.query_tower, file, *TEXTS], check=True)
    response = served.prediction.Predict(predict_request("query_tower", query=TEXTS), timeout=20)
    np.testing.assert_allclose(tf.make_ndarray(response.outputs["embedding"]), np.load(file), atol=1e-5, rtol=0)


def test_the_product_tower_answers_too(served, bundle):
    response = served.prediction.Predict(predict_request("product_tower", title=["oak desk"], brand=[""]), timeout=20)
    index = bundle.load_index()
    rows, scores = index.search(tf.make_ndarray(response.outputs["embedding"]), 1)
    assert index.id_map["title"][int(rows[0, 0])].as_py() == "oak desk"
    assert scores[0, 0] == pytest.approx(1, abs=1e-5)


def test_only_modules_that_work_under_the_installed_protobuf_are_imported(served):
    broken = {"tensorflow_serving.apis.prediction_service_pb2", "tensorflow_serving.apis.model_service_pb2"}
    assert not broken & set(sys.modules)


def test_model_status(served):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "calculator"
    response = served.models.GetModelStatus(request, timeout=20)
    (entry,) = response.model_version_status
    assert (entry.version, entry.state, entry.status.error_code) == (7, entry.AVAILABLE, 0)
    assert entry.HasField("status")
    request.model_spec.version_label = "ignored"
    assert served.models.GetModelStatus(request, timeout=20) == response


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        (None, ("INVALID_ARGUMENT", "Missing ModelSpec")),
        ({"name": "nix"}, ("NOT_FOUND", "Could not find any versions of model nix")),
        ({}, ("NOT_FOUND", "Could not find any versions of model ")),
        (
            {"name": "calculator", "version": {"value": 8}},
            ("NOT_FOUND", "Could not find version 8 of model calculator"),
        ),
    ],
)
def test_model_status_refusals(served, spec, answer):
    assert refusal(served.models.GetModelStatus, get_model_status_pb2.GetModelStatusRequest(model_spec=spec)) == answer


def test_metadata_is_the_signatures_verbatim(served):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "calculator"
    response = served.prediction.GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {
        "serving_default",
        "echo",
        "count",
        "scalar",
        "total",
        "__saved_model_init_op",
    }
    assert signatures.signature_def["serving_default"].inputs["x"].name == "serving_default_x:0"
    assert (response.model_spec.version.value, response.model_spec.signature_name) == (7, "")


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"metadata_field": ["signature_def"]}, ("INVALID_ARGUMENT", "Missing ModelSpec")),
        (
            {"model_spec": {"name": "nix"}},
            ("INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field"),
        ),
        (
            {"model_spec": {"name": "nix"}, "metadata_field": ["signature_def", "size"]},
            ("INVALID_ARGUMENT", "Metadata field size is not supported"),
        ),
        (
            {"model_spec": {"name": "nix"}, "metadata_field": ["signature_def"]},
            ("NOT_FOUND", "Servable not found for request: Latest(nix)"),
        ),
    ],
)
def test_metadata_refusals(served, fields, answer):
    request = get_model_metadata_pb2.GetModelMetadataRequest(**fields)
    assert refusal(served.prediction.GetModelMetadata, request) == answer


def test_a_long_message_is_cut_where_tensorflow_serving_cuts_it(served):
    name = "n" * 2000
    whole = f"Servable not found for request: Latest({name})"
    answer = refusal(served.prediction.Predict, predict_request(name))
    assert answer == ("NOT_FOUND", f"{whole[:1024]}...TRUNCATED")


def test_bytes_that_are_no_request_are_refused_and_the_server_goes_on(served):
    with grpc.insecure_channel(served.server.grpc_address) as channel:
        raw = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict", request_serializer=bytes, response_deserializer=bytes
        )
        with pytest.raises(grpc.RpcError) as refused:
            raw(b"\xff\xff\xff", timeout=20)
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    assert isinstance(
        served.prediction.Predict(predict_request("query_tower", query=["a"]), timeout=20), predict_pb2.PredictResponse
    )
