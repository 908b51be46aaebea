"""The Kubernetes manifests of serving_configs/, held to each other and to the commands they start."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.serving.test_serving_configs import FOLDER, READY, YAML_FILES, documents
from tfsage.cli import app
from tfsage.serving.flags import BUNDLE_MOUNT

STOCK_FLAGS = {
    *("port", "rest_api_port", "grpc_max_threads", "grpc_channel_arguments", "enable_profiler", "enable_batching"),
    *("model_config_file", "monitoring_config_file", "ssl_config_file", "batching_parameters_file"),
    "tensorflow_session_config_file",
}
"""Flags of tensorflow_model_server that manifests may use."""


def kubernetes() -> list[dict]:
    names = [name for name in YAML_FILES if name.startswith("k8s/")]
    return [document for name in names for document in documents(name)]


def flags_of(words: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))


def test_the_retrieval_service_is_started_with_options_it_has():
    help_text = CliRunner().invoke(app, ["service", "--help"], env={"COLUMNS": "200"}).output
    compose = documents("docker-compose.yml")[0]["services"]["retrieval"]["command"]
    pods = [containers(one)[0]["args"] for one in kubernetes() if one["metadata"]["name"] == "retrieval" and pod(one)]
    for command in (compose, *pods):
        assert command[0] == "service"
        for option in flags_of(command[1:]):
            assert f"--{option} " in help_text, option


DEPLOYMENTS = [one for one in kubernetes() if one["kind"] == "Deployment"]


def pod(one: dict) -> dict:
    return one["spec"].get("template", {})


def containers(one: dict) -> list[dict]:
    return pod(one)["spec"]["containers"]


def test_kubernetes_kinds_names_and_selectors():
    kinds = {
        "Deployment": "apps/v1",
        "Service": "v1",
        "PodDisruptionBudget": "policy/v1",
        "HorizontalPodAutoscaler": "autoscaling/v2",
        "NetworkPolicy": "networking.k8s.io/v1",
    }
    pods = {}
    for one in kubernetes():
        assert one["apiVersion"] == kinds[one["kind"]]
        assert set(one) == {"apiVersion", "kind", "metadata", "spec"}
        if one["kind"] == "Deployment":
            labels = pod(one)["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"] == labels
            pods[labels["app"]] = {port["name"] for container in containers(one) for port in container["ports"]}
    for one in kubernetes():
        spec = one["spec"]
        if one["kind"] == "Service":
            assert {port["targetPort"] for port in spec["ports"]} <= pods[spec["selector"]["app"]]
        if one["kind"] == "PodDisruptionBudget":
            assert spec["selector"]["matchLabels"]["app"] in pods
        if one["kind"] == "HorizontalPodAutoscaler":
            assert spec["scaleTargetRef"]["name"] in pods
        if one["kind"] == "NetworkPolicy":
            ports = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
            assert ports == pods[spec["podSelector"]["matchLabels"]["app"]]
    addresses = {
        f"{one['metadata']['name']}:{port['port']}"
        for one in kubernetes()
        if one["kind"] == "Service"
        for port in one["spec"]["ports"]
    }
    text = (FOLDER / "k8s/retrieval.yaml").read_text()
    assert set(re.findall(r"///?([\w-]+:\d+)", text)) <= addresses


@pytest.mark.parametrize(
    "one", [one for one in kubernetes() if one["kind"] == "Deployment"], ids=lambda one: one["metadata"]["name"]
)
def test_pods_are_pinned_bounded_probed_and_unprivileged(one):
    volumes = {volume["name"] for volume in pod(one)["spec"].get("volumes", [])}
    assert pod(one)["spec"]["automountServiceAccountToken"] is False
    for container in containers(one):
        assert re.fullmatch(r"[\w/.-]+:[\w.]*\d[\w.]*", container["image"])
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
        ports = {port["name"] for port in container["ports"]}
        probes = [value for key, value in container.items() if key.endswith("Probe")]
        assert probes and "readinessProbe" in container
        for probe in probes:
            assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports
        assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
        if one["metadata"]["name"] != "query-cache":
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
            grace = pod(one)["spec"]["terminationGracePeriodSeconds"]
            assert grace >= 30
            path = {"model-server": READY, "retrieval": "/ready"}[one["metadata"]["name"]]
            assert container["readinessProbe"]["httpGet"]["path"] == path


def test_the_model_servers_flags_are_tensorflow_servings_and_their_files_are_mounted():
    kustomization = documents("kustomization.yaml")[0]
    (generated,) = kustomization["configMapGenerator"]
    assert all((FOLDER / path).is_file() for path in [*kustomization["resources"], *generated["files"]])
    (one,) = [o for o in kubernetes() if o["kind"] == "Deployment" and o["metadata"]["name"] == "model-server"]
    (configs,) = [v["configMap"]["name"] for v in pod(one)["spec"]["volumes"] if "configMap" in v]
    assert configs == generated["name"]
    flags = flags_of(containers(one)[0]["args"])
    assert set(flags) <= STOCK_FLAGS
    assert {Path(value).name for value in flags.values() if value.startswith("/configs/")} == set(generated["files"])
    mounts = {mount["name"]: mount["mountPath"] for mount in containers(one)[0]["volumeMounts"]}
    assert (mounts["configs"], mounts["bundles"]) == ("/configs", str(BUNDLE_MOUNT))
    assert {flags["port"], flags["rest_api_port"]} == {"8500", "8501"}
