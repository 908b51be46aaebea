"""serving_configs/: every textproto parses with the protos' own definitions, and fits what a bundle holds."""

import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers
from tensorflow_serving.config import model_server_config_pb2

from tfsage.serving.server import base_paths

FOLDER = Path(__file__).parents[2] / "serving_configs"
MOUNT = Path("/models/bundle")
FIELD = descriptor_pb2.FieldDescriptorProto
INT64, STRING, BOOL = (f".google.protobuf.{name}Value" for name in ("Int64", "String", "Bool"))

# The API wheel has neither message; numbers and types are those of session_bundle_config.proto and
# monitoring_config.proto.
BATCHING = {
    "max_batch_size": (1, INT64),
    "batch_timeout_micros": (2, INT64),
    "max_enqueued_batches": (3, INT64),
    "num_batch_threads": (4, INT64),
    "thread_pool_name": (5, STRING),
    "allowed_batch_sizes": (6, FIELD.TYPE_INT64),
    "pad_variable_length_inputs": (7, FIELD.TYPE_BOOL),
    "enable_large_batch_splitting": (8, BOOL),
    "max_execution_batch_size": (9, INT64),
}
PROMETHEUS = {"enable": (1, FIELD.TYPE_BOOL), "path": (2, FIELD.TYPE_STRING)}
MONITORING = {"prometheus_config": (1, ".tfsage.test.PrometheusConfig")}


@pytest.fixture(scope="module")
def messages() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(name="tfsage_test.proto", package="tfsage.test", syntax="proto3")
    file.dependency.append(wrappers.DESCRIPTOR.name)
    for name, fields in (
        ("BatchingParameters", BATCHING),
        ("PrometheusConfig", PROMETHEUS),
        ("MonitoringConfig", MONITORING),
    ):
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            repeated = field == "allowed_batch_sizes"
            added = message.field.add(
                name=field, number=number, label=FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
            )
            if isinstance(kind, str):
                added.type, added.type_name = FIELD.TYPE_MESSAGE, kind
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tfsage.test.{name}"))
        for name in ("BatchingParameters", "MonitoringConfig")
    }


def parsed(name: str, message):
    return text_format.Parse((FOLDER / name).read_text(), message)


def test_models_config_names_the_towers_where_a_bundle_has_them(bundle):
    config = parsed("models.config", model_server_config_pb2.ModelServerConfig())
    models = config.model_config_list.config
    assert {model.name: Path(model.base_path) for model in models} == {
        name: MOUNT / path.relative_to(bundle.folder) for name, path in base_paths(bundle).items()
    }
    assert {model.model_platform for model in models} == {"tensorflow"}
    for model in models:
        mounted = bundle.folder / Path(model.base_path).relative_to(MOUNT)
        assert [version.name for version in mounted.iterdir()] == ["1"]
        assert (mounted / "1" / "saved_model.pb").is_file()


def test_batching_parameters(messages):
    batching = parsed("batching_parameters.cpu.txt", messages["BatchingParameters"]())
    assert batching.max_batch_size.value >= 1
    assert batching.max_enqueued_batches.value >= batching.num_batch_threads.value >= 1
    sizes = list(batching.allowed_batch_sizes)
    assert sizes == sorted(sizes)
    assert not sizes or sizes[-1] == batching.max_batch_size.value
    assert not batching.pad_variable_length_inputs


def test_monitoring_config(messages):
    monitoring = parsed("monitoring.config", messages["MonitoringConfig"]())
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_compose_and_readme_run_the_same_server():
    service = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())["services"]["model_server"]
    readme = (FOLDER / "README.md").read_text()
    (run,) = re.findall(r"^docker run.*?\n\n", readme, re.DOTALL | re.MULTILINE)
    words = run.replace("\\\n", " ").split()
    assert [word for word in words if word.startswith("--") and "=" in word] == service["command"]
    assert service["image"] in words
    ports = [words[place + 1] for place, word in enumerate(words) if word == "-p"]
    assert ports == service["ports"]
    mounted = [mount.split(":")[-2:] for mount in service["volumes"]]
    assert mounted == [[str(MOUNT), "ro"], ["/configs", "ro"]]
    for file in re.findall(r"/configs/(\S+)", run):
        assert (FOLDER / file).is_file()
    for file in re.findall(r"^\| `(\S+)` \|", readme, re.MULTILINE):
        assert (FOLDER / file).is_file()
