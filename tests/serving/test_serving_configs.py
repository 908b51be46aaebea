"""serving_configs/: every file is valid by its own format, and all of them speak of the same ports, paths and names."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.config import model_server_config_pb2

from tfsage.serving.batching_options import BatchingOptions
from tfsage.serving.flags import BUNDLE_MOUNT, Flags, base_paths
from tfsage.serving.metrics import METRICS, Histogram
from tfsage.serving.protos import MonitoringConfig, SSLConfig

FOLDER = Path(__file__).parents[2] / "serving_configs"
YAML_FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.y*ml"))
METRICS_PATH = "/monitoring/prometheus/metrics"
READY = "/v1/models/query_tower/metadata"


def parsed(name: str, message):
    return text_format.Parse((FOLDER / name).read_text(), message)


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def test_models_config_names_the_towers_where_a_bundle_has_them(bundle):
    config = parsed("models.config", model_server_config_pb2.ModelServerConfig())
    models = config.model_config_list.config
    assert {model.name: Path(model.base_path) for model in models} == {
        name: BUNDLE_MOUNT / path.relative_to(bundle.folder) for name, path in base_paths(bundle).items()
    }
    assert {model.model_platform for model in models} == {"tensorflow"}
    for model in models:
        mounted = bundle.folder / Path(model.base_path).relative_to(BUNDLE_MOUNT)
        assert [version.name for version in mounted.iterdir()] == ["1"]
        assert (mounted / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_batching_parameters_and_sessions(kind):
    # Reading them checks what TensorFlow Serving checks.
    options = BatchingOptions.read(FOLDER / f"batching_parameters.{kind}.txt")
    assert options.max_enqueued_batches >= options.num_batch_threads
    assert bool(options.allowed_batch_sizes) == (kind == "gpu")
    session = parsed(f"session.{kind}.config", config_pb2.ConfigProto())
    assert session.inter_op_parallelism_threads >= options.num_batch_threads
    assert session.gpu_options.allow_growth == (kind == "gpu")


def test_monitoring_config():
    monitoring = parsed("monitoring.config", MonitoringConfig())
    assert (monitoring.prometheus_config.enable, monitoring.prometheus_config.path) == (True, METRICS_PATH)
    assert Flags(monitoring_config_file=FOLDER / "monitoring.config").metrics_path() == METRICS_PATH


def test_the_ssl_config_that_the_script_writes(tmp_path):
    pems = {name: f"-----BEGIN {name}-----\n+/a=\n-----END {name}-----\n" for name in ("key", "cert", "ca")}
    for name, text in pems.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, FOLDER / "make_ssl_config.py", "--key", tmp_path / "key", "--cert", tmp_path / "cert"]
    one_way = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    both = subprocess.run([*command, "--client-ca", tmp_path / "ca"], check=True, capture_output=True, text=True).stdout
    expected = {"server_key": pems["key"], "server_cert": pems["cert"]}
    assert text_format.Parse(one_way, SSLConfig()) == SSLConfig(**expected)
    assert text_format.Parse(both, SSLConfig()) == SSLConfig(**expected, custom_ca=pems["ca"], client_verify=True)


def test_no_key_lies_here():
    for path in FOLDER.rglob("*"):
        assert path.is_dir() or "PRIVATE KEY" not in path.read_text()


@pytest.mark.parametrize("name", YAML_FILES)
def test_every_yaml_file_is_plain_and_names_no_key_twice(name):
    class Strict(yaml.SafeLoader):
        """Refuses a mapping with the same key twice, of which YAML would silently keep the last."""

        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{name}: {keys}"
            return super().construct_mapping(node, deep)

    assert all(isinstance(document, dict) for document in yaml.load_all((FOLDER / name).read_text(), Strict))


def test_compose_runs_the_server_of_the_readme():
    service = documents("docker-compose.yml")[0]["services"]["model_server"]
    readme = (FOLDER / "README.md").read_text()
    (run,) = re.findall(r"^docker run.*?\n\n", readme, re.DOTALL | re.MULTILINE)
    words = run.replace("\\\n", " ").split()
    assert [word for word in words if word.startswith("--") and "=" in word] == service["command"]
    assert service["image"] in words
    ports = [words[place + 1] for place, word in enumerate(words) if word == "-p"]
    assert ports == service["ports"]
    mounted = [mount.split(":")[-2:] for mount in service["volumes"]]
    assert mounted == [[str(BUNDLE_MOUNT), "ro"], ["/configs", "ro"]]
    for file in re.findall(r"/configs/(\S+)", run):
        assert (FOLDER / file).is_file()


def test_the_readme_lists_every_file_and_reaches_an_answer_in_five_commands():
    readme = (FOLDER / "README.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", readme, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(.*?)`", row)}
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert listed == {name for name in files if name != "README.md" and "__pycache__" not in name}
    first = re.search(r"```sh\n(.*?)```", readme, re.DOTALL)[1].replace("\\\n", " ")
    commands = [line for line in first.splitlines() if line.strip()]
    assert len(commands) == 5
    assert commands[-1].startswith("tfsage search")


def test_compose_is_whole():
    compose = documents("docker-compose.yml")[0]
    assert set(compose) == {"services"}
    known = {
        "image",
        "build",
        "command",
        "ports",
        "volumes",
        "healthcheck",
        "depends_on",
        "stop_grace_period",
        "restart",
    }
    for name, service in compose["services"].items():
        assert set(service) <= known | {"restart"}, name
        assert ("image" in service) != ("build" in service), name
        assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in service.get("ports", [])), name
        if "image" in service:
            assert re.fullmatch(r"[\w/.-]+:v?\d[\w.]*", service["image"]), f"{name} is not pinned"
        for needed, condition in service.get("depends_on", {}).items():
            wanted = compose["services"][needed]
            assert condition["condition"] == ("service_healthy" if "healthcheck" in wanted else "service_started")
        for mount in service.get("volumes", []):
            source, _, mode = re.fullmatch(r"(\$\{.*?\}|[^:]+):([^:]+):(ro)", mount).groups()
            assert source.startswith("${") or (FOLDER / source).is_dir()
            assert mode == "ro"
    build = compose["services"]["retrieval"]["build"]
    dockerfile = (FOLDER / build["context"] / build["dockerfile"]).read_text()
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE) for word in line.split()]
    assert copied and all((FOLDER.parent / word).exists() for word in copied)
    assert READY in compose["services"]["model_server"]["healthcheck"]["test"][-1]


def test_prometheus_scrapes_what_runs_and_alerts_on_metrics_that_exist():
    scrape = documents("prometheus/prometheus.yml")[0]
    services = documents("docker-compose.yml")[0]["services"]
    jobs = {job["job_name"]: job for job in scrape["scrape_configs"]}
    assert jobs["tfserving"]["metrics_path"] == METRICS_PATH
    for job in jobs.values():
        for target in job["static_configs"][0]["targets"]:
            name, port = target.split(":")
            assert any(published.endswith(f":{port}") for published in services[name]["ports"])
    assert all((FOLDER / "prometheus" / rules).is_file() for rules in scrape["rule_files"])

    known = {"up"}
    for metric in METRICS.values():
        known |= {
            metric.page_name + end
            for end in (("_bucket", "_sum", "_count") if isinstance(metric, Histogram) else ("",))
        }
    labels = {label for metric in METRICS.values() for label in metric.labels} | {"le", "job"}
    for group in documents("prometheus/alerts.yml")[0]["groups"]:
        for rule in group["rules"]:
            assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
            expression = rule["expr"]
            assert expression.count("(") == expression.count(")")
            assert set(re.findall(r":tensorflow[\w:]+|\bup\b", expression)) <= known, expression
            matched = re.findall(r'(\w+)(?:=~|!=|=)"', expression)
            grouped = [label for by in re.findall(r"by \((.*?)\)", expression) for label in by.split(", ")]
            assert set(matched + grouped) <= labels, expression
            assert set(re.findall(r'job="(\w+)"', expression)) <= set(jobs)
            assert set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))) <= labels | {"instance"}
