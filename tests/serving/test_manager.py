"""Rollouts as TensorFlow Serving makes them: new before old, labels, failures, reloads, polling."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_pb2

from tests.serving.example_models import write_constant
from tests.serving.models import predict_request
from tfsage.serving.manager import ModelManager
from tfsage.serving.model_config import ModelServerConfig
from tfsage.serving.predict import predict
from tfsage.serving.registry import Registry, State
from tfsage.serving.status import ServingError

STATES = {State.AVAILABLE: "available", State.END: "end", State.LOADING: "loading", State.UNLOADING: "unloading"}


class Shop:
    """A manager over a folder of models, and what a client sees of it."""

    def __init__(self, folder: Path, **options):
        self.folder, self.registry = folder, Registry()
        self.manager = ModelManager(self.registry, **options)

    def put(self, model: str, *versions: int) -> None:
        """Version N answers N; it appears whole, as it must."""
        for version in versions:
            aside = self.folder / f".{model}.{version}"
            write_constant(aside, version)
            (self.folder / model).mkdir(exist_ok=True)
            aside.rename(self.folder / model / str(version))

    def put_damaged(self, model: str, version: int) -> None:
        folder = self.folder / model / str(version)
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"damaged")

    def config(self, model: str = "a", more: str = "") -> ModelServerConfig:
        config = f'name: "{model}" base_path: "{self.folder / model}" model_platform: "tensorflow" {more}'
        return text_format.Parse(f"model_config_list {{ config {{ {config} }} }}", ModelServerConfig())

    def ask(self, model: str = "a", **spec) -> float:
        """The answer of a model; spec is a version or version_label."""
        request = predict_request(model, x=np.zeros(1, np.float32))
        if "version_label" in spec:
            request.model_spec.version_label = spec["version_label"]
        if "version" in spec:
            request.model_spec.version.value = spec["version"]
        with self.registry.use(request.model_spec) as found:
            return predict(found, request).outputs["y"].float_val[0]

    def states(self, model: str = "a") -> dict[int, str]:
        return {version: STATES[status.state] for version, status in self.registry.versions(model).items()}


@pytest.fixture
def made(tmp_path):
    shops = []

    def make(**options) -> Shop:
        shops.append(Shop(tmp_path, **options))
        return shops[-1]

    yield make
    for shop in shops:
        shop.manager.close()
        shop.registry.close()


def refusal(call, *arguments) -> tuple[str, str]:
    with pytest.raises(ServingError) as refused:
        call(*arguments)
    return refused.value.code.name, refused.value.message


def test_a_new_version_answers_before_the_old_one_goes(made, monkeypatch):
    shop = made()
    shop.put("a", 1)
    shop.manager.reload(shop.config())
    seen, load = [], shop.registry.load_version
    monkeypatch.setattr(shop.registry, "load_version", lambda *rest: seen.append(shop.states()) or load(*rest))
    unload = shop.registry.unload_version
    monkeypatch.setattr(shop.registry, "unload_version", lambda *rest: seen.append(shop.states()) or unload(*rest))
    shop.put("a", 2)
    shop.manager.poll()
    assert seen == [{1: "available"}, {1: "available", 2: "available"}]
    assert shop.states() == {1: "end", 2: "available"}
    assert (shop.ask(), shop.ask(version=2)) == (2, 2)
    assert refusal(lambda: shop.ask(version=1)) == ("NOT_FOUND", "Servable not found for request: Specific(a, 1)")


def test_a_call_under_way_keeps_its_version_until_it_ends(made):
    shop = made()
    shop.put("a", 1)
    shop.manager.reload(shop.config())
    with shop.registry.use(model_pb2.ModelSpec(name="a")) as old:
        shop.put("a", 2)
        rollout = threading.Thread(target=shop.manager.poll)
        rollout.start()
        while shop.states().get(1) != "unloading":
            time.sleep(0.001)
        assert shop.ask() == 2
        assert predict(old, predict_request("a", x=np.zeros(1, np.float32))).outputs["y"].float_val == [1]
        assert rollout.is_alive()
    rollout.join(10)
    assert shop.states() == {1: "end", 2: "available"}


def test_a_version_that_does_not_load_leaves_the_old_one_and_is_not_tried_again_and_again(made, capsys, monkeypatch):
    shop = made()
    shop.put("a", 1)
    shop.manager.reload(shop.config())
    shop.put_damaged("a", 2)
    for _ in range(3):
        shop.manager.poll()
    assert (shop.ask(), shop.states()) == (1, {1: "available", 2: "end"})
    error = shop.registry.versions("a")[2].error
    assert (error.code.name, "not a SavedModel" in error.message) == ("UNKNOWN", True)
    assert capsys.readouterr().err.count("not a SavedModel") == 1
    shutil.rmtree(shop.folder / "a" / "2")
    shop.manager.poll()
    shop.put("a", 2)
    shop.manager.poll()
    assert (shop.ask(), shop.states()) == (2, {1: "end", 2: "available"})


def test_policies_and_rollback(made):
    shop = made()
    shop.put("a", 1, 2, 3)
    shop.manager.reload(shop.config(more="model_version_policy { latest { num_versions: 2 } }"))
    assert shop.states() == {3: "available", 2: "available"}
    shop.manager.reload(shop.config(more="model_version_policy { specific { versions: 1 } }"))
    assert (shop.ask(), shop.states()) == (1, {3: "end", 2: "end", 1: "available"})
    shop.manager.reload(shop.config(more="model_version_policy { all { } }"))
    assert (shop.ask(), [shop.ask(version=version) for version in (1, 2, 3)]) == (3, [1, 2, 3])


def test_an_empty_folder_unloads_and_a_missing_one_changes_nothing(made):
    shop = made()
    shop.put("a", 1)
    shop.manager.reload(shop.config())
    (shop.folder / "a").rename(shop.folder / "away")
    shop.manager.poll()
    assert shop.ask() == 1
    (shop.folder / "a").mkdir()
    shop.manager.poll()
    assert refusal(shop.ask) == ("NOT_FOUND", "Servable not found for request: Latest(a)")
    assert shop.states() == {1: "end"}


def test_labels_move_only_to_what_answers(made):
    shop = made()
    shop.put("a", 1, 2)
    every = "model_version_policy { all { } }"
    shop.manager.reload(shop.config(more=every))
    shop.manager.reload(shop.config(more=f'{every} version_labels {{ key: "stable" value: 1 }}'))
    assert shop.ask(version_label="stable") == 1
    labels = f'{every} version_labels {{ key: "stable" value: 2 }} version_labels {{ key: "next" value: 2 }}'
    shop.manager.reload(shop.config(more=labels))
    assert (shop.ask(version_label="stable"), shop.ask(version_label="next")) == (2, 2)
    code, message = refusal(
        shop.manager.reload, shop.config(more=f'{every} version_labels {{ key: "stable" value: 3 }}')
    )
    assert (code, message) == (
        "FAILED_PRECONDITION",
        "Request to assign label to version 3 of model a, which is not currently available for inference",
    )
    assert shop.ask(version_label="stable") == 2
    unknown = ("INVALID_ARGUMENT", "Unrecognized servable version label: nix")
    assert refusal(lambda: shop.ask(version_label="nix")) == unknown
    assert refusal(lambda: shop.ask("nix", version_label="nix")) == unknown


def test_a_refused_label_leaves_what_was_served_and_the_config_is_accepted_once_the_version_is_up(made):
    shop = made()
    shop.put("a", 1)
    shop.manager.reload(shop.config(more="model_version_policy { all { } }"))
    wanted = shop.config(more='model_version_policy { latest { } } version_labels { key: "next" value: 2 }')
    assert refusal(shop.manager.reload, wanted)[0] == "FAILED_PRECONDITION"
    shop.put("a", 2)
    shop.manager.poll()
    assert shop.states() == {1: "available", 2: "available"}
    shop.manager.reload(wanted)
    assert (shop.ask(version_label="next"), shop.states()) == (2, {1: "end", 2: "available"})


def test_a_first_config_with_a_label_serves_nothing(made):
    shop = made()
    shop.put("a", 1)
    assert refusal(shop.manager.reload, shop.config(more='version_labels { key: "stable" value: 1 }')) == (
        "FAILED_PRECONDITION",
        "Request to assign label to version 1 of model a, which is not currently available for inference",
    )
    shop.manager.poll()
    assert shop.registry.names == []


def test_labels_of_the_first_config_need_permission_which_never_moves_a_label_to_nothing(made):
    shop = made(allow_labels_for_unavailable=True)
    shop.put("a", 1)
    shop.manager.reload(shop.config(more='version_labels { key: "stable" value: 1 }'))
    assert shop.ask(version_label="stable") == 1
    moved = shop.config(more='version_labels { key: "stable" value: 2 }')
    assert refusal(shop.manager.reload, moved)[0] == "FAILED_PRECONDITION"
    shop.manager.reload(shop.config(more='version_labels { key: "later" value: 9 }'))
    assert refusal(lambda: shop.ask(version_label="later"))[1] == "Servable not found for request: Specific(a, 9)"


def test_a_reload_replaces_the_models_and_names_those_that_cannot_be_served(made):
    shop = made()
    shop.put("a", 1)
    shop.put("b", 5)
    shop.manager.reload(shop.config("a"))
    shop.manager.reload(shop.config("b"))
    assert (shop.registry.names, shop.ask("b"), shop.states("a")) == (["b"], 5, {1: "end"})
    code, message = refusal(shop.manager.reload, shop.config("missing"))
    assert (code, message.startswith("1 model(s) did not become available: {{name: missing}")) == ("UNKNOWN", True)
    shop.put_damaged("c", 4)
    code, message = refusal(shop.manager.reload, shop.config("c"))
    assert message.startswith("1 model(s) did not become available: {{name: c version: 4} due to error: ")


def test_polling_finds_new_versions_and_a_changed_config(made, capsys):
    shop = made()
    shop.put("a", 1)
    shop.manager.reload(shop.config())
    configs = [shop.config()]

    def read() -> ModelServerConfig:
        return configs[0]

    shop.manager.start(0.02, read)
    shop.put("a", 2)
    _wait(lambda: shop.ask() == 2)
    configs[0] = ModelServerConfig()
    _wait(lambda: "Only ModelConfigList" in capsys.readouterr().err)
    assert shop.ask() == 2
    configs[0] = shop.config(more="model_version_policy { specific { versions: 1 } }")
    _wait(lambda: shop.ask() == 1)


def _wait(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
