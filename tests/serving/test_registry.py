"""Which version is loaded and found, and what is never loaded."""

import shutil

import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_pb2

from tests.serving.models import Calculator, predict_request
from tfsage.errors import TfsageError
from tfsage.serving.registry import Registry, load_registry
from tfsage.serving.warmup import write_warmup_requests


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "calculator"
    Calculator().save(folder / "2")
    return folder


def test_the_highest_version_is_loaded_and_other_folders_are_ignored(saved, tmp_path):
    for name in ("2", "10", "9.partial", "latest"):
        shutil.copytree(saved / "2", tmp_path / name)
    registry = load_registry({"calculator": tmp_path})
    assert registry.find(model_pb2.ModelSpec(name="calculator")).version == 10
    assert list(registry.versions("calculator")) == [10]
    registry.close()
    assert registry.names == []


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: (folder / "v1").mkdir()])
def test_a_model_without_a_version_is_named(tmp_path, make):
    make(tmp_path)
    with pytest.raises(TfsageError, match=f"{tmp_path}: model tower has no version here"):
        Registry().load("tower", tmp_path)


def test_a_damaged_savedmodel_is_named(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    variables = tmp_path / "2" / "saved_model.pb"
    variables.write_bytes(variables.read_bytes()[:100])
    with pytest.raises(TfsageError, match=str(tmp_path)):
        Registry().load("calculator", tmp_path)


def test_missing_variables_are_named(root, tmp_path, bundle):
    shutil.copytree(bundle.query_tower, tmp_path / "1")
    shutil.rmtree(tmp_path / "1" / "variables")
    with pytest.raises(TfsageError, match=f"{tmp_path}/1: the SavedModel of model query_tower cannot be loaded"):
        Registry().load("query_tower", tmp_path)


def test_operations_that_production_lacks_are_refused(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def python_op(x):
        return {"y": tf.numpy_function(lambda value: value, [x], tf.float32)}

    tf.saved_model.save(tf.Module(), str(tmp_path / "1"), signatures={"serving_default": python_op})
    with pytest.raises(TfsageError, match="stock TensorFlow Serving does not have: PyFunc"):
        Registry().load("tower", tmp_path)


def test_one_failing_model_leaves_none_loaded(saved, tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(Registry, "close", lambda self: closed.append(self.names))
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    write_warmup_requests(tmp_path / "2", [predict_request("calculator")])
    with pytest.raises(TfsageError, match="record 1 failed: input size does not match signature"):
        load_registry({"good": saved, "bad": tmp_path})
    assert closed == [["good"]]
