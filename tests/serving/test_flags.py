"""The files of serving_configs/, served: what a client sees of models, batches, metrics, labels and reloads."""

import contextlib
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc

from tests.serving.example_models import write_constant
from tests.serving.models import predict_request
from tests.serving.wire import refusal
from tfsage.errors import TfsageError
from tfsage.serving import metrics
from tfsage.serving.flags import Flags, mounted
from tfsage.serving.manager import ModelManager
from tfsage.serving.server import ModelServer, serve

CONFIGS = Path(__file__).parents[2] / "serving_configs"
PRODUCTION = Flags(
    model_config_file=CONFIGS / "models.config",
    enable_batching=True,
    batching_parameters_file=CONFIGS / "batching_parameters.gpu.txt",
    monitoring_config_file=CONFIGS / "monitoring.config",
    tensorflow_session_config_file=CONFIGS / "session.cpu.config",
)


@contextlib.contextmanager
def served_by(flags: Flags, bundle=None, config=None):
    """A server as `tfsage serve` makes it, with stubs of both services."""
    registry = flags.registry()
    manager = ModelManager(registry, where=lambda path: mounted(path, bundle))
    manager.reload(flags.model_config(bundle) if config is None else config)
    with (
        ModelServer(registry, rest_port=0, manager=manager, metrics_path=flags.metrics_path()) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        yield (
            server,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def test_the_files_of_production_serve_a_bundle(bundle):
    runs = metrics.wrapped_run_count.value()
    with served_by(PRODUCTION, bundle) as (server, prediction, _):
        texts = ["walnut desk", "lamp", ""]
        response = prediction.Predict(predict_request("query_tower", query=texts), timeout=20)
        tower = tf.saved_model.load(str(bundle.query_tower)).signatures["serving_default"]
        expected = tower(query=tf.constant(texts))["embedding"].numpy()
        np.testing.assert_allclose(tf.make_ndarray(response.outputs["embedding"]), expected, atol=1e-5)
        code, message = refusal(prediction.Predict, predict_request("query_tower", query=["a"] * 33))
        assert (code, message) == ("INVALID_ARGUMENT", "Task size 33 is larger than maximum input batch size 32")
        page = httpx.get(f"http://{server.rest_address}/monitoring/prometheus/metrics").text
        assert ':batching_session:queuing_latency_bucket{thread_pool_name="query_tower_gpu"' in page
        # Three queries are filled up to the allowed size of four.
        assert ':batching_session:padding_size_count{execution_batch_size="4"}' in page
    assert metrics.wrapped_run_count.value() > runs


def test_without_a_monitoring_config_there_is_no_page(bundle):
    with served_by(Flags(), bundle) as (server, _, _):
        assert httpx.get(f"http://{server.rest_address}/monitoring/prometheus/metrics").status_code == 404


def test_reload_labels_and_versions_over_the_wire(tmp_path):
    for version in (1, 2):
        write_constant(tmp_path / "a" / str(version), version)

    def config(more: str = "", name: str = "a") -> str:
        model = f'name: "{name}" base_path: "{tmp_path / name}" model_platform: "tensorflow" {more}'
        return f"model_config_list {{ config {{ {model} }} }}"

    def reload(text: str) -> model_management_pb2.ReloadConfigRequest:
        request = model_management_pb2.ReloadConfigRequest(metric_names=["/tensorflow/serving/request_count"])
        text_format.Parse(text, request.config)
        return request

    first = reload(config("model_version_policy { all { } }")).config
    with served_by(Flags(), config=first) as (server, prediction, models):
        url = f"http://{server.rest_address}/v1/models/a"
        label = 'model_version_policy { all { } } version_labels { key: "stable" value: 1 }'
        response = models.HandleReloadConfigRequest(reload(config(label)), timeout=20)
        assert response.status.error_code == 0
        assert [metric.name for metric in response.metric] == ["/tensorflow/serving/request_count"]

        ask = predict_request("a", x=np.zeros(1, np.float32))
        assert prediction.Predict(ask, timeout=20).outputs["y"].float_val == [2]
        ask.model_spec.version_label = "stable"
        answer = prediction.Predict(ask, timeout=20)
        assert (answer.outputs["y"].float_val, answer.model_spec.version.value) == ([1], 1)
        assert answer.model_spec.WhichOneof("version_choice") == "version"
        body = {"instances": [0.0]}
        assert httpx.post(f"{url}/labels/stable:predict", json=body).json() == {"predictions": [1.0]}
        assert httpx.post(f"{url}/versions/2:predict", json=body).json() == {"predictions": [2.0]}
        assert httpx.get(f"{url}/labels/stable/metadata").json()["model_spec"]["version"] == "1"

        assert refusal(models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()) == (
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported",
        )
        assert refusal(models.HandleReloadConfigRequest, reload(config(label.replace("1", "7"))))[0] == (
            "FAILED_PRECONDITION"
        )
        models.HandleReloadConfigRequest(
            reload(config("model_version_policy { specific { versions: 1 } }")), timeout=20
        )
        status = httpx.get(url).json()["model_version_status"]
        assert [(entry["version"], entry["state"]) for entry in status] == [("2", "END"), ("1", "AVAILABLE")]
        assert refusal(models.HandleReloadConfigRequest, reload(config(name="missing")))[0] == "UNKNOWN"
        assert httpx.get(f"{url}/metadata").status_code == 404


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (Flags(), "nothing to serve; give --root"),
        (Flags(model_config_file=Path("missing.config")), "missing.config: cannot be read"),
        (Flags(model_config_file=CONFIGS / "monitoring.config"), "Error parsing text-format .*ModelServerConfig"),
        (
            PRODUCTION._replace(enable_batching=False),
            "--batching-parameters-file needs --enable-batching; add it, or leave the file out",
        ),
        (PRODUCTION._replace(ssl_config_file=CONFIGS / "models.config"), "Error parsing text-format .*SSLConfig"),
        (PRODUCTION._replace(monitoring_config_file=CONFIGS / "README.md"), "README.md: Error parsing"),
        (PRODUCTION._replace(batching_parameters_file=CONFIGS / "models.config"), "models.config: Error parsing"),
        (PRODUCTION, r"Failed to start server. Error: 2 model\(s\) did not become available: {{name: query_tower}"),
    ],
)
def test_what_is_wrong_with_the_flags_is_one_clear_error(flags, message, keep_sigterm):
    with pytest.raises(TfsageError, match=message):
        serve(None, flags, grpc_port=0, rest_port=0)


def test_the_bundle_stands_at_its_mount_and_nowhere_else(bundle):
    assert mounted("/models/bundle/query_tower", bundle) == bundle.folder / "query_tower"
    for path in ("/models/other", "/models/bundle/../secret", "/models/bundles/x"):
        assert mounted(path, bundle) == Path(path)
    assert mounted("/models/bundle/query_tower", None) == Path("/models/bundle/query_tower")
