import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from tfsage.errors import TfsageError
from tfsage.serving.ops_allowlist import TEXT_OPS, check_servable_ops


class _Model(tf.Module):
    def __init__(self, function):
        super().__init__()
        self.serve = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)])


def _save(function, folder):
    model = _Model(function)
    tf.saved_model.save(model, folder, signatures=model.serve)
    return folder


def test_core_and_text_ops_are_servable(tmp_path):
    def lengths(texts):
        return {"y": tf.map_fn(lambda t: tf.strings.length(t) * 2, tf_text.case_fold_utf8(texts), tf.int32)}

    assert check_servable_ops(_save(lengths, tmp_path)) == []


def test_python_functions_are_not_even_inside_a_nested_function(tmp_path):
    def through_python(texts):
        return {"y": tf.map_fn(lambda t: tf.numpy_function(len, [t], tf.int64), texts, tf.int64)}

    offending = check_servable_ops(_save(through_python, tmp_path))
    assert offending and all(op in ("PyFunc", "PyFuncStateless", "EagerPyFunc") for op in offending)


@pytest.mark.parametrize("place", ["graph", "function"])
def test_an_unknown_library_is_named_wherever_it_is(tmp_path, place):
    folder = _save(lambda texts: {"y": tf.strings.length(texts)}, tmp_path)
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = graph.node if place == "graph" else graph.library.function[0].node_def
    nodes.add(name="search", op="Scann>ScannSearchBatched")
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    assert check_servable_ops(folder) == ["Scann>ScannSearchBatched"]


def test_the_list_is_spelled_as_tensorflow_text_registers_it():
    assert [op for op in TEXT_OPS if op_def_registry.get(op) is None] == []
    assert [op for op in TEXT_OPS if hasattr(tf.raw_ops, op)] == []


def test_no_saved_model(tmp_path):
    with pytest.raises(TfsageError, match="not a SavedModel"):
        check_servable_ops(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"not a protocol buffer")
    with pytest.raises(TfsageError, match="not a SavedModel"):
        check_servable_ops(tmp_path)
