"""One version of one model: a SavedModel in a graph and a session of its own, as TensorFlow Serving holds it."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from tfsage.errors import TfsageError
from tfsage.serving.batching import Batcher
from tfsage.serving.session_run import SessionRunner

# Registers the ops that tokenizers are exported with.
importlib.import_module("tensorflow_text")

DEFAULT_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class Signature(NamedTuple):
    """What a model answers to: its inputs and outputs by alias, and the proto they came from."""

    proto: meta_graph_pb2.SignatureDef
    inputs: Mapping[str, tf.Tensor]
    outputs: Mapping[str, tf.Tensor]


class Model:
    """A loaded SavedModel.

    Attributes:
        name: the model's name on the wire.
        version: the number of its version folder.
        meta_graph: the proto with every signature, verbatim.
        signatures: those that can be run, by name.
        session: the session that holds the variables.
        run: runs tensors of its session, together with what else waits if there is a batcher.
    """

    def __init__(
        self,
        name: str,
        version: int,
        session: tf.compat.v1.Session,
        meta_graph: meta_graph_pb2.MetaGraphDef,
        batcher: Batcher | None = None,
    ):
        self.name, self.version, self.meta_graph = name, version, meta_graph
        self.signatures = {
            key: Signature(proto, _tensors(session.graph, proto.inputs), _tensors(session.graph, proto.outputs))
            for key, proto in meta_graph.signature_def.items()
            if all(":" in info.name for info in [*proto.inputs.values(), *proto.outputs.values()])
        }
        self._batcher, self.session = batcher, session
        runner = SessionRunner(session)
        self.run = runner if batcher is None else batcher.wrap(runner)

    @classmethod
    def load(
        cls,
        name: str,
        version: int,
        folder: Path,
        session_config: config_pb2.ConfigProto | None = None,
        batcher: Batcher | None = None,
    ) -> "Model":
        """Loads the SavedModel in `folder`.

        Args:
            session_config: threads and devices of the session; TensorFlow's defaults without it.
            batcher: merges calls that wait at the same time.

        Raises:
            TfsageError: there is no SavedModel, it is damaged, or it uses an op that this installation lacks.
        """
        graph = tf.Graph()
        session = tf.compat.v1.Session(graph=graph, config=session_config)
        try:
            with graph.as_default():
                meta_graph = tf.compat.v1.saved_model.loader.load(session, [tf.saved_model.SERVING], str(folder))
        except (tf.errors.OpError, OSError, RuntimeError, ValueError, KeyError) as error:
            session.close()
            raise TfsageError(
                f"{folder}: the SavedModel of model {name} cannot be loaded: {error}; export the bundle again"
            ) from error
        return cls(name, version, session, meta_graph, batcher)

    def close(self) -> None:
        """Frees the session; calls that are under way must have ended."""
        if self._batcher is not None:
            self._batcher.forget(self.run)
        self.session.close()


def _tensors(graph: tf.Graph, infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, tf.Tensor]:
    return {alias: graph.get_tensor_by_name(infos[alias].name) for alias in sorted(infos)}
