"""Writes a tower as a SavedModel that needs none of our code to be loaded, and reads it back."""

import functools
import importlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfsage.towers.base import Tower

# Registers the ops that tokenizers are exported with.
importlib.import_module("tensorflow_text")

EMBEDDING = "embedding"


def save_product_tower(tower: Tower, folder: Path) -> None:
    """Saves a product tower with two signatures and a function for reuse.

    - `serving_default`: raw features (one string [rows] per text field; image_embeddings float32 [rows, images, D],
      rows of zeros where an image is absent) -> embedding float32 [rows, dimension].
    - `token_ids`: prepared features (`Tower.feature_signature`) -> the same.
    - `tf.saved_model.load(folder).embed({...raw features...})` is differentiable in the loaded object's
      `trainable_variables`, so that a ranking model can use the tower as a layer and fine-tune it.
    """
    root, raw = _root(tower)
    features = _entry_point(lambda inputs: tower(inputs, training=False), tower.feature_signature)
    tf.saved_model.save(root, str(folder), signatures={"serving_default": raw, "token_ids": features})


def save_query_tower(tower: Tower, folder: Path) -> None:
    """Saves a query tower: `serving_default(query: string [rows])` -> embedding float32 [rows, dimension]."""
    root, raw = _root(tower)
    tf.saved_model.save(root, str(folder), signatures={"serving_default": raw})


class Signature:
    """A signature of a SavedModel, as a function of arrays.

    Attributes:
        inputs: name -> `tf.TensorSpec`.
    """

    def __init__(self, folder: Path, name: str = "serving_default"):
        # A loaded function holds its variables only weakly: the object that owns them must stay.
        self._loaded = tf.saved_model.load(str(folder))
        self._function = self._loaded.signatures[name]
        self.inputs: dict[str, tf.TensorSpec] = self._function.structured_input_signature[1]

    @property
    def dimension(self) -> int:
        return self._function.structured_outputs[EMBEDDING].shape[-1]

    def __call__(self, **inputs) -> np.ndarray:
        """float32 [rows, dimension]."""
        return self._function(**{name: tf.constant(value) for name, value in inputs.items()})[EMBEDDING].numpy()


@functools.cache
def load_signature(folder: str) -> Signature:
    """The `serving_default` of the SavedModel in `folder`, loaded once a process."""
    return Signature(Path(folder))


def _root(tower: Tower):
    """The object that is saved: the tower's functions, variables and lookup tables, without its Keras layers.

    Keras would otherwise trace every layer a second time and write Python class names that a reader then needs.
    """
    root = tf.train.Checkpoint()
    root.embed = tf.function(
        lambda raw: tower.embed(_checked(raw, tower.raw_signature)), input_signature=[tower.raw_signature]
    )
    root.variables = list(tower.variables)
    root.trainable_variables = list(tower.trainable_variables)
    root.resources = [
        node
        for node in tf.train.TrackableView(tower).descendants()
        if isinstance(node, tf.saved_model.experimental.TrackableResource)
    ]
    return root, _entry_point(tower.embed, tower.raw_signature)


def _entry_point(embed, signature: dict[str, tf.TensorSpec]):
    """A concrete function of named inputs, as signatures are."""

    @tf.function
    def serve(**inputs):
        return {EMBEDDING: embed(_checked(inputs, signature))}

    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in signature.items()}
    return serve.get_concrete_function(**named)


def _checked(inputs: dict[str, tf.Tensor], signature: dict[str, tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """Adds the check of every shape to the graph: a model server feeds tensors without looking at their shapes."""
    return {name: tf.ensure_shape(inputs[name], spec.shape) for name, spec in signature.items()}
