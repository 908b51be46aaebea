"""Which devices share the work, and what TF_CONFIG says of the workers."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tfsage.errors import TfsageError
from tfsage.training.cluster import Cluster, environment_of
from tfsage.training.strategy import choose_strategy, value_of_chief

JOBS = {"worker": ["a:1", "b:2", "c:3"]}


def set_config(monkeypatch, cluster, kind: str, index: int) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))


def test_without_tf_config_a_process_is_alone_and_its_own_chief(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    cluster = Cluster.from_environment()
    assert (cluster.size, cluster.rank, cluster.is_chief, cluster.launcher) == (1, 0, True, None)


@pytest.mark.parametrize(
    ("jobs", "kind", "index", "addresses", "rank"),
    [
        (JOBS, "worker", 0, ("a:1", "b:2", "c:3"), 0),
        (JOBS, "worker", 2, ("a:1", "b:2", "c:3"), 2),
        ({"worker": ["b:2"], "chief": ["a:1"]}, "chief", 0, ("a:1", "b:2"), 0),
        ({"worker": ["b:2"], "chief": ["a:1"]}, "worker", 0, ("a:1", "b:2"), 1),
    ],
)
def test_ranks_follow_the_order_of_addresses_chief_first(monkeypatch, jobs, kind, index, addresses, rank):
    set_config(monkeypatch, jobs, kind, index)
    cluster = Cluster.from_environment()
    assert (cluster.addresses, cluster.rank, cluster.is_chief) == (addresses, rank, rank == 0)


def test_workers_of_a_launcher_find_each_other(monkeypatch):
    for name, value in environment_of(1, ["a:1", "b:2"], launcher=77).items():
        monkeypatch.setenv(name, value)
    assert Cluster.from_environment() == Cluster(("a:1", "b:2"), rank=1, launcher=77)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("{", "Expecting property name"),
        ("{}", "'cluster'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "the cluster has no worker 1"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "the cluster has no chief 0"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
            "all tasks must be chief or worker, found ps",
        ),
    ],
)
def test_a_wrong_tf_config_is_refused_with_an_example(monkeypatch, given, problem):
    monkeypatch.setenv("TF_CONFIG", given)
    with pytest.raises(TfsageError) as refused:
        Cluster.from_environment()
    assert problem in str(refused.value) and '"task": {"type": "worker", "index": 0}' in str(refused.value)


@pytest.fixture
def machine(monkeypatch):
    """Replaces TensorFlow's view of the machine; gives what was asked of it."""
    asked = SimpleNamespace(gpus=0, devices=None, visible=None, several=False)

    def several():
        asked.several = True

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}{i}" for i in range(asked.gpus)])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: setattr(asked, "visible", devices))
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda devices: setattr(asked, "devices", devices))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", several)
    return asked


@pytest.mark.parametrize(("gpus", "replicas", "devices"), [(3, None, 3), (3, 2, 2), (1, None, None), (3, 1, None)])
def test_gpus_are_all_used_unless_fewer_are_asked_for(machine, gpus, replicas, devices):
    machine.gpus = gpus
    choose_strategy(Cluster(), replicas)
    assert machine.devices == (devices and [f"GPU:{place}" for place in range(devices)])


def test_more_gpus_than_there_are_is_refused(machine):
    machine.gpus = 2
    with pytest.raises(TfsageError, match="3 wanted, but this machine has 2 GPUs"):
        choose_strategy(Cluster(), 3)


def test_workers_of_a_launcher_divide_the_gpus_of_the_host(machine):
    machine.gpus, shares = 5, []
    for rank in range(2):
        choose_strategy(Cluster(("a:1", "a:2"), rank, launcher=7))
        shares += machine.visible
    assert machine.several and shares == [f"GPU{place}" for place in range(5)]
    machine.gpus = 1
    with pytest.raises(TfsageError, match="2 on this machine, which has 1 GPUs"):
        choose_strategy(Cluster(("a:1", "a:2"), 0, launcher=7))


def test_workers_that_were_started_one_by_one_see_their_own_gpus(machine):
    machine.gpus = 2
    choose_strategy(Cluster(("a:1", "b:1"), 1))
    assert machine.several and machine.visible is None


def test_a_port_in_use_is_said(monkeypatch):
    def refuse():
        raise tf.errors.UnknownError(None, None, "Could not start gRPC server")

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", refuse)
    with pytest.raises(TfsageError, match=r"^worker 1 \(b:1\) cannot listen on its port .*TF_CONFIG"):
        choose_strategy(Cluster(("a:1", "b:1"), 1))


def test_replicas_and_several_workers_do_not_go_together():
    with pytest.raises(TfsageError, match="leave --replicas out"):
        choose_strategy(Cluster(("a:1", "b:1")), 2)


def test_one_device_needs_no_strategy():
    strategy = choose_strategy(Cluster(), 1)
    assert strategy is tf.distribute.get_strategy() and value_of_chief(strategy, Cluster(), 5) == 5


def test_replicas_on_a_machine_without_gpus_are_logical_devices_of_the_cpu():
    code = (
        "import tfsage\n"
        "from tfsage.errors import TfsageError\n"
        "from tfsage.training.strategy import Cluster, choose_strategy\n"
        "strategy = choose_strategy(Cluster(), 2)\n"
        "assert strategy.num_replicas_in_sync == 2\n"
        "assert strategy.extended.worker_devices == tuple(\n"
        "    f'/job:localhost/replica:0/task:0/device:CPU:{place}' for place in range(2)\n"
        ")\n"
        "try:\n"
        "    choose_strategy(Cluster(), 3)\n"
        "except TfsageError as error:\n"
        "    assert 'train in a new process' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('devices cannot be laid out twice')\n"
    )
    environment = {"CUDA_VISIBLE_DEVICES": "", "PATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
