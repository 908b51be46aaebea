"""What the variables of a model are called."""

from collections.abc import Iterator, Mapping

import tensorflow as tf
import tf_keras

from tfsage.config import Config


def variable_paths(config: Config, model) -> list[tuple[str, tf.Variable]]:
    """The path and the variable, for all trainable variables of a model, in its order.

    A path is the tower's name, the attributes (or names) of the layers on the way, and the variable's own name:
    `product/encoder/block_0/query/kernel`, `product/head/linear/bias`, `product/hash_embedding/table`. A hash
    embedding that towers share belongs to the one whose section describes it. What is in no tower is called the same
    way from the model on, such as a learned temperature: `pools/product/task/softmax_temperature/log_scale`.

    Args:
        config: its `towers` tell who shares an embedding.
        model: has `towers` and `trainable_variables`, and is a Keras model itself.
    """
    paths = {}
    for name in sorted(
        model.towers, key=lambda name: getattr(config.towers[name], "share_embedding", None) is not None
    ):
        for path, variable in _walk(model.towers[name], name):
            paths.setdefault(id(variable), path)
    for path, variable in _walk(model, ""):
        paths.setdefault(id(variable), path.removeprefix("/"))
    return [(paths[id(variable)], variable) for variable in model.trainable_variables]


def is_matrix(variable: tf.Variable) -> bool:
    """Whether it is a weight matrix: neither a bias, nor a scale or offset of a norm, nor a scalar.

    The biases of attention layers may have two dimensions (heads, size of a head) and are told by their name.
    """
    return variable.shape.rank >= 2 and "bias" not in _own_name(variable)


def _walk(module: tf.Module, path: str) -> Iterator[tuple[str, tf.Variable]]:
    """Every trainable variable of a module and of the modules inside; one that is in several comes several times."""
    inside = _inside(module)
    names = _attributes(module)
    of_parts = {id(variable) for part in inside for variable in part.trainable_variables}
    for variable in module.trainable_variables:
        if id(variable) not in of_parts:
            yield f"{path}/{_own_name(variable)}", variable
    for part in inside:
        yield from _walk(part, f"{path}/{names.get(id(part), part.name)}")


def _inside(module: tf.Module) -> list[tf.Module]:
    """The modules directly inside; of a Keras layer, the layers and modules that it tracks."""
    if isinstance(module, tf_keras.layers.Layer):
        return list(module._flatten_modules(recursive=False, include_self=False))
    return list(module._flatten(recursive=False, predicate=lambda part: isinstance(part, tf.Module)))


def _attributes(module: tf.Module) -> dict[int, str]:
    """The names by which a module knows those inside; Keras' own names may depend on what was built before."""
    names = {}
    for attribute, value in vars(module).items():
        if attribute.startswith("_self_"):  # Keras' own books
            continue
        attribute = attribute.strip("_")
        found = {f"{attribute}/{key}": part for key, part in value.items()} if isinstance(value, Mapping) else {}
        for name, part in {attribute: value, **found}.items():
            if isinstance(part, tf.Module):
                names.setdefault(id(part), name)
    return names


def _own_name(variable: tf.Variable) -> str:
    return variable.name.rsplit("/", 1)[-1].split(":")[0]
