"""What every tower must be able to do, in one call: `check_tower`."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from export.saved_model import save_query_tower
from tfsage.serving.ops_allowlist import check_servable_ops
from tfsage.towers.base import Tower


def check_tower(tower: Tower, raw: dict[str, np.ndarray], folder: Path) -> None:
    """Asserts the contract of `Tower` on entities that must all have different vectors.

    Args:
        tower: any tower.
        raw: its raw inputs, at least 3 rows, none of them empty.
        folder: where the exported tower is written.
    """
    raw = {name: tf.convert_to_tensor(value) for name, value in raw.items()}
    vectors = tower.embed(raw).numpy()
    rows = len(vectors)
    assert set(raw) == set(tower.raw_signature)
    assert vectors.dtype == np.float32 and vectors.shape == (rows, tower.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    apart = np.abs(vectors[:, None] - vectors).max(axis=-1) + np.eye(rows)
    assert apart.min() > 1e-4, "two different entities have the same vector"
    _check_features(tower, raw, vectors)
    _check_rows_are_independent(tower, raw, vectors)
    _check_empty(tower, raw)
    _check_gradient(tower, raw)
    _check_export(tower, raw, vectors, folder)


def empty_rows(tower: Tower, rows: int) -> dict[str, tf.Tensor]:
    """Raw inputs of entities with nothing in them: empty strings, absent images."""
    shapes = {name: [rows, *(size or 1 for size in spec.shape[1:])] for name, spec in tower.raw_signature.items()}
    return {name: tf.zeros(shapes[name], spec.dtype) for name, spec in tower.raw_signature.items()}


def _check_features(tower: Tower, raw, vectors):
    """Features made in an input pipeline, as in training, fit the signature and give the same vectors."""
    batch = next(iter(tf.data.Dataset.from_tensors(raw).map(tower.featurize)))
    assert set(batch) == set(tower.feature_signature)
    for name, spec in tower.feature_signature.items():
        assert batch[name].dtype == spec.dtype, (
            f"feature {name} is {batch[name].dtype}, its signature says {spec.dtype}"
        )
        assert spec.shape.is_compatible_with(batch[name].shape), f"feature {name} has shape {batch[name].shape}"
    compiled = tf.function(tower, input_signature=[tower.feature_signature])
    np.testing.assert_allclose(compiled(batch), vectors, atol=1e-5)


def _check_rows_are_independent(tower: Tower, raw, vectors):
    """Neither the order of the rows nor their company changes a vector; a batch may have no rows."""
    order = np.random.default_rng(0).permutation(len(vectors))
    shuffled = tower.embed({name: tf.gather(value, order) for name, value in raw.items()})
    np.testing.assert_allclose(shuffled, vectors[order], atol=1e-5)
    for row in range(len(vectors)):
        alone = tower.embed({name: value[row : row + 1] for name, value in raw.items()})
        np.testing.assert_allclose(alone, vectors[row : row + 1], atol=1e-5)
    assert tower.embed({name: value[:0] for name, value in raw.items()}).shape == (0, tower.dimension)


def _check_empty(tower: Tower, raw):
    empty = tower.embed(empty_rows(tower, 2)).numpy()
    np.testing.assert_allclose(np.linalg.norm(empty, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(empty[0], empty[1], atol=1e-5)


def _check_gradient(tower: Tower, raw):
    """Every weight gets a finite gradient, also from a batch with an empty entity; a table's stays sparse."""
    empty = empty_rows(tower, 2)
    for inputs in (raw, empty):
        features = tower.featurize(inputs)
        with tf.GradientTape() as tape:
            vectors = tower(features, training=True)
            loss = tf.reduce_sum(vectors * tf.random.stateless_normal(tf.shape(vectors), [1, 2]))
        gradients = tape.gradient(loss, tower.trainable_variables)
        for variable, gradient in zip(tower.trainable_variables, gradients, strict=True):
            assert gradient is not None, f"{variable.name} has no part in the vectors"
            assert np.isfinite(tf.convert_to_tensor(gradient)).all(), f"gradient of {variable.name} is not finite"
            if "/table:" in variable.name or "/importance:" in variable.name:
                assert isinstance(gradient, tf.IndexedSlices), f"gradient of {variable.name} is dense"


def _check_export(tower: Tower, raw, vectors, folder: Path):
    """The SavedModel takes raw inputs, gives the same vectors, and uses only what stock TensorFlow Serving has."""
    save_query_tower(tower, folder)
    assert check_servable_ops(folder) == []
    loaded = tf.saved_model.load(folder)
    serve = loaded.signatures["serving_default"]
    np.testing.assert_allclose(serve(**raw)["embedding"], vectors, atol=1e-5)
    assert serve(**{name: value[:0] for name, value in raw.items()})["embedding"].shape == (0, tower.dimension)
    assert np.isfinite(serve(**empty_rows(tower, 1))["embedding"]).all()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded.embed(raw)[:, 0])
    for gradient in tape.gradient(loss, loaded.trainable_variables):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), "an exported tower cannot be fine-tuned"
