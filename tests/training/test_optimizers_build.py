import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from pydantic import ValidationError

from tests.conftest import TINY
from tests.training.tables import initial_table, lazy_adam, row_wise_adagrad
from tfsage.config import Config, HashEmbeddingConfig
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.models import ItemSage
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.towers.mlp import mlp
from tfsage.training.optimizers import build_optimizer, variable_paths

PATHS = [
    "product/hash_embedding/importance",
    "product/hash_embedding/table",
    "product/head/hidden_0/bias",
    "product/head/hidden_0/kernel",
    "product/head/linear/bias",
    "product/head/linear/kernel",
    "product/start",
    "pools/product/task/log_scale",
    "text/mlp/linear/bias",
    "text/mlp/linear/kernel",
]


class Tower(tf_keras.Model):
    """A hash embedding and something on top, under names that say little, as Keras gives them."""

    def __init__(self, embedding, attribute, hidden):
        super().__init__()
        self.hash_embedding = embedding
        setattr(self, attribute, mlp(hidden, 3, name=attribute))
        getattr(self, attribute)(tf.zeros([1, 3]))
        if hidden:
            self.start = self.add_weight("start", [3])


class Scalar(tf_keras.layers.Layer):
    """Stands for a learned temperature."""

    def __init__(self):
        super().__init__()
        self._log_scale = self.add_weight("log_scale", [])


class Pool(tf.Module):
    """No layer, but one inside."""

    def __init__(self):
        super().__init__()
        self._task = Scalar()


class Model(tf_keras.Model):
    """The query tower comes first, and shares the table of the product tower."""

    def __init__(self):
        super().__init__()
        embedding = HashEmbedding(7, HashEmbeddingConfig(buckets=12, dimension=3))
        embedding.table.assign(initial_table())
        self.towers = {"text": Tower(embedding, "mlp", []), "product": Tower(embedding, "head", [2])}
        self.pools = {"product": Pool()}
        self.table_variables = embedding.trainable_variables


@pytest.fixture(scope="module")
def model():
    return Model()


@pytest.fixture(autouse=True)
def start(model):
    """Every test begins with the same weights."""
    weights = model.get_weights()
    yield weights
    model.set_weights(weights)


def config(phases=(30, 10), **optimizer):
    towers = {"text": {"kind": "ngram", "share_embedding": "product"}, "product": {"kind": "unified"}}
    task = {"name": "title", "source": "catalog_text", "query_tower": "text", "candidate_tower": "product"}
    options = {"warmup_steps": 0, "final_scale": 1.0, "clip_norm": None} | optimizer
    training = {"optimizer": options, "phases": [{"steps": steps} for steps in phases]}
    return Config.model_validate({"towers": towers, "tasks": [task], "training": training})


def moved(model, gradient=1.0, **optimizer):
    """How far one step with the same gradient everywhere moves each variable, by path; the mean over its entries."""
    section = config(**optimizer)
    paths = variable_paths(section, model)
    before = [variable.numpy() for _, variable in paths]
    own = build_optimizer(section, model)
    own.apply_gradients([(tf.fill(variable.shape, gradient), variable) for _, variable in paths])
    return {path: np.mean(b - variable) for (path, variable), b in zip(paths, before, strict=True)}


def test_paths_are_towers_layers_and_names(model):
    paths = variable_paths(config(), model)
    assert sorted(path for path, _ in paths) == sorted(PATHS)
    assert [id(variable) for _, variable in paths] == [id(variable) for variable in model.trainable_variables]


def test_paths_of_a_whole_model_are_its_own_and_the_same_every_time(prepared):
    section = Config.model_validate({**TINY, "towers": {"text": TINY["towers"]["text"]} | TINY["towers"]})
    models = [ItemSage(section, PreparedData(prepared)) for _ in range(2)]
    paths = [[path for path, _ in variable_paths(section, model)] for model in models]
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == len(models[0].trainable_variables)
    assert {
        "product/hash_embedding/table",
        "product/encoder/block_0/query/kernel",
        "product/head/linear/bias",
        "text/mlp/hidden_0/kernel",
        "pools/product/task/softmax_temperature/log_scale",
    } <= set(paths[0])
    assert not any(path.startswith("text/hash_embedding") for path in paths[0])


def test_tables_are_trained_row_wise_and_the_rest_with_adam(model):
    found = moved(model, learning_rate=0.01)
    for path in PATHS:
        expected = 0.05 if "hash_embedding" in path else 0.01
        assert found[path] == pytest.approx(expected, rel=1e-3), path


def test_optimizers_of_tables(model):
    table = model.table_variables[0]
    generator = np.random.default_rng(0)
    dense = [generator.normal(size=table.shape) for _ in range(3)]
    everything = [np.ones(len(dense[0]), bool)] * 3
    references = {
        "row_wise_adagrad": row_wise_adagrad(initial_table(), dense, 0.2),
        "lazy_adam": lazy_adam(initial_table(), dense, everything, 0.2),
    }
    for kind, expected in references.items():
        table.assign(initial_table())
        optimizer = build_optimizer(config(tables=kind, table_learning_rate=0.2), model)
        for gradient in dense:
            optimizer.apply_gradients([(tf.constant(gradient, tf.float32), table)])
        np.testing.assert_allclose(table, expected, rtol=1e-4, atol=1e-5)


def test_lazy_adam_has_the_rate_of_the_others_unless_told(model):
    assert moved(model, learning_rate=0.01, tables="lazy_adam")[PATHS[1]] == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("kind", ["adamw", "lamb"])
def test_weight_decay_is_for_matrices_only(model, kind):
    """With a gradient of zero a matrix shrinks by the rate times the decay; LAMB takes the decay for the whole step."""
    for path, variable in variable_paths(config(), model):
        if "hash_embedding" not in path:
            variable.assign(tf.fill(variable.shape, 2.0))
    found = moved(model, gradient=0.0, kind=kind, learning_rate=0.1, weight_decay=0.5)
    for path in PATHS:
        decays = "kernel" in path
        expected = 2.0 * (0.1 if kind == "lamb" else 0.1 * 0.5) if decays else 0.0
        assert found[path] == pytest.approx(expected, rel=1e-5), path


def test_lamb_moves_a_matrix_by_its_own_length(model):
    before = {path: variable.numpy() for path, variable in variable_paths(config(), model)}
    found = moved(model, kind="lamb", learning_rate=0.01)
    for path in PATHS:
        if "kernel" in path:
            expected = 0.01 * np.sqrt(np.mean(before[path] ** 2))
        else:
            expected = 0.05 if "hash_embedding" in path else 0.01
        assert found[path] == pytest.approx(expected, rel=1e-3), path


def test_groups_make_exceptions_and_the_first_counts(model):
    groups = [
        {"variables": "product/head/linear/*", "learning_rate": 0.5},
        {"variables": "product/hash_embedding/table", "learning_rate": 0.25},
        {"variables": "product/he*", "frozen": True},
        {"variables": "*/log_scale", "learning_rate": 0.125},
    ]
    found = moved(model, learning_rate=0.01, groups=groups)
    expected = dict.fromkeys(PATHS, 0.01) | {
        "product/hash_embedding/importance": 0.05,
        "product/hash_embedding/table": 0.25,
        "product/head/linear/bias": 0.5,
        "product/head/linear/kernel": 0.5,
        "product/head/hidden_0/bias": 0.0,
        "product/head/hidden_0/kernel": 0.0,
        "pools/product/task/log_scale": 0.125,
    }
    assert found == pytest.approx(expected, rel=1e-3)


def test_groups_have_a_weight_decay_of_their_own(model):
    for path, variable in variable_paths(config(), model):
        if "hash_embedding" not in path:
            variable.assign(tf.fill(variable.shape, 2.0))
    groups = [{"variables": "product/*", "weight_decay": 0.25}, {"variables": "text/*", "weight_decay": 0.0}]
    found = moved(model, gradient=0.0, learning_rate=0.1, weight_decay=0.5, groups=groups)
    decayed = {path for path in PATHS if path.startswith("product/head") and path.endswith("kernel")}
    for path in PATHS:
        assert found[path] == pytest.approx(2.0 * 0.1 * 0.25 if path in decayed else 0.0, rel=1e-5), path


def test_a_frozen_variable_needs_no_gradient(model):
    optimizer = build_optimizer(config(groups=[{"variables": "text/*", "frozen": True}]), model)
    trained = {path: optimizer.trains(variable) for path, variable in variable_paths(config(), model)}
    assert trained == {path: not path.startswith("text/") for path in PATHS}


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"variables": "produkt/*", "frozen": True}], r"groups.0: no variable matches 'produkt/\*'.*product/start"),
        (
            [{"variables": "text/*", "frozen": True}, {"variables": "text/mlp/*", "learning_rate": 0.1}],
            r"groups.1 \('text/mlp/\*'\): earlier groups",
        ),
        ([{"variables": "product/*", "learning_rate": 0.1}], "'product/hash_embedding/table' and its like"),
        ([{"variables": "*/hash_embedding/*", "weight_decay": 0.1}], "weight_decay is for matrices"),
        ([{"variables": "*/log_scale", "weight_decay": 0.1}], "weight_decay is for matrices"),
    ],
)
def test_groups_that_cannot_be_meant(model, groups, message):
    with pytest.raises(TfsageError, match=message):
        build_optimizer(config(groups=groups), model)


@pytest.mark.parametrize("group", [{}, {"frozen": True, "learning_rate": 0.1}, {"frozen": True, "weight_decay": 0.0}])
def test_groups_that_contradict_themselves(group):
    with pytest.raises(ValidationError, match="frozen"):
        config(groups=[{"variables": "*", **group}])


def test_the_schedule_spans_all_phases(model):
    optimizer = build_optimizer(config(learning_rate=0.01, warmup_steps=10, final_scale=0.2), model)
    optimizer.build(model.trainable_variables)
    bias = model.towers["text"].mlp.trainable_variables[1]
    rates = []
    for step in (0, 9, 25, 40):
        optimizer.iterations.assign(step)
        optimizer.apply_gradients([(tf.zeros_like(bias), bias)])
        rates.append(optimizer.optimizers[-1].learning_rate.numpy())
    np.testing.assert_allclose(rates, [0.001, 0.01, 0.01 * 0.6, 0.01 * 0.2], rtol=1e-5)


def test_clips(model):
    free, clipped = (moved(model, learning_rate=0.01, clip_norm=norm)["product/start"] for norm in (None, 1e-12))
    # Adam does not mind the scale of a gradient until its epsilon of 1e-7 does.
    assert clipped < 0.01 * free
