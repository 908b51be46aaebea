import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.conftest import TINY
from tfsage.config import Config
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.models import ItemSage
from tfsage.training.callbacks import NonFiniteGuard
from tfsage.training.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def data(prepared):
    return PreparedData(prepared)


@pytest.fixture(scope="module")
def still_model(data, tiny_config):
    """A model that does not move, so that losses of batches can be computed again."""
    model = ItemSage(tiny_config, data)
    model.compile(optimizer=tf_keras.optimizers.SGD(0.0))
    return model


def batches(model, count):
    return list(model.batches.dataset(featurize=model.featurize).take(count))


def test_epoch_loss_is_the_weighted_mean_over_rows_not_the_last_batch(still_model):
    parts = batches(still_model, 2)
    for weight, part in zip((1.0, 3.0), parts, strict=True):
        part["pairs"]["product"]["weight"] = tf.fill([48], weight)
    # Nothing is a negative in the second batch, so its loss is zero.
    pairs = parts[1]["pairs"]["product"]
    pairs["candidate_id"], pairs["negative_id"] = tf.range(48, dtype=tf.int64), tf.range(48, 96, dtype=tf.int64)
    pairs["known"] = tf.constant(np.argwhere(~np.eye(48, 96, dtype=bool)))
    still_model.reset_metrics()
    first = float(still_model.train_step(parts[0])["loss"])
    logs = still_model.train_step(parts[1])
    assert first > 1.0
    assert float(logs["loss"]) == pytest.approx(first / 4, rel=1e-5)


def test_rows_of_a_task_do_not_depend_on_the_order_of_towers(still_model):
    part = batches(still_model, 1)[0]
    pairs = part["pairs"]["product"]
    loss = float(still_model.compute_loss(part))
    order = np.random.default_rng(1).permutation(48)
    rows = {name: tf.gather(pairs[name], order) for name in ("query_row", "query_id", "weight", "task")}
    place = np.argsort(order)
    known = pairs["known"].numpy()
    known[:, 0] = place[known[:, 0]]
    moved = {**pairs, **rows, "candidate_id": tf.gather(pairs["candidate_id"], order), "known": known}
    features = part["candidates"]["product"]
    lengths = features["token_lengths"].numpy()
    tokens = tf.RaggedTensor.from_row_lengths(features["token_ids"], lengths.sum(1))
    images = tf.RaggedTensor.from_row_lengths(features["images"], features["image_lengths"])
    whole = np.concatenate([order, np.arange(48, 96)])
    candidates = {
        "token_ids": tf.gather(tokens, whole).flat_values,
        "token_lengths": tf.gather(features["token_lengths"], whole),
        "images": tf.gather(images, whole).flat_values,
        "image_lengths": tf.gather(features["image_lengths"], whole),
    }
    again = {**part, "candidates": {"product": candidates}, "pairs": {"product": moved}}
    assert float(still_model.compute_loss(again)) == pytest.approx(loss, rel=1e-5)


def test_hash_tables_are_the_table_variables(still_model):
    names = sorted(variable.name.rsplit("/")[-1] for variable in still_model.table_variables)
    assert names == ["importance:0", "table:0"], "the query tower shares the product tower's tables"


def test_a_nan_stops_the_run_and_says_where(data, tiny_config, tmp_path):
    model = ItemSage(tiny_config, data)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(tmp_path, model, every=2)

    def poison(step, batch):
        weight = batch["pairs"]["product"]["weight"]
        spoiled = tf.where(step == 3, weight * float("nan"), weight)
        pairs = {**batch["pairs"]["product"], "weight": spoiled}
        return {**batch, "pairs": {"product": pairs}}

    dataset = model.batches.dataset(featurize=model.featurize).enumerate().map(poison)
    with pytest.raises(TfsageError) as caught:
        model.fit(
            dataset, steps_per_epoch=8, verbose=0, callbacks=[NonFiniteGuard(model.batches, checkpoints), checkpoints]
        )
    message = str(caught.value)
    ids = model.batches(3)["pairs"]["product"]["candidate_id"][:20].tolist()
    assert "step 3: " in message and str(ids) in message and "ckpt-2" in message
    restored = tf.train.load_checkpoint(checkpoints.latest)
    assert all(
        np.isfinite(restored.get_tensor(name)).all()
        for name, kind in restored.get_variable_to_dtype_map().items()
        if kind.is_floating
    )


def test_inconsistent_losses_are_refused(data):
    with pytest.raises(TfsageError, match="duplicates"):
        ItemSage(Config.model_validate({**TINY, "loss": {"duplicates": "mask"}}), data)


def test_a_language_model_and_frozen_queries_train_beside_each_other(data):
    towers = {
        **TINY["towers"],
        "text": {
            "kind": "distilbert",
            "vocabulary_size": 500,
            "layers": 1,
            "heads": 2,
            "width": 16,
            "feed_forward": 32,
        },
        "search": {"kind": "frozen", "hidden": [32], "residual": True, "standardize": True},
    }
    tasks = [*TINY["tasks"][:2], {**TINY["tasks"][1], "name": "search_frozen", "query_tower": "search"}]
    model = ItemSage(Config.model_validate({**TINY, "towers": towers, "tasks": tasks}), data)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    logs = model.train_step(batches(model, 1)[0])
    assert float(logs["finite"]) == 1.0
    moved = [np.abs(variable - old).max() > 0 for variable, old in zip(model.trainable_variables, before, strict=True)]
    assert np.mean(moved) > 0.9
    pins = data.queries("query").embeddings
    np.testing.assert_allclose(model.towers["search"].standardize.mean, pins.mean(0), atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("chunk_size", [None, 20])
def test_towers_of_half_precision_learn_the_same(data, tiny_config, precision, chunk_size):
    raw = {**TINY, "training": {**TINY["training"], "precision": precision, "chunk_size": chunk_size}}
    half, full = ItemSage(Config.model_validate(raw), data), ItemSage(tiny_config, data)
    assert tf_keras.mixed_precision.global_policy().name == "float32"
    for theirs, own in zip(full.variables, half.variables, strict=True):
        assert own.dtype == theirs.dtype
        own.assign(theirs)
    logs = []
    for model in (half, full):
        model.compile()
        model.optimizer.build(model.trainable_variables)
        logs.append([model.train_step(part) for part in batches(model, 3)])
    assert all(float(step["finite"]) == 1.0 for step in logs[0])
    assert half.towers["product"].head.layers[0].compute_dtype == precision.removeprefix("mixed_")
    for own, theirs in zip(*logs, strict=True):
        assert float(own["loss"]) == pytest.approx(float(theirs["loss"]), rel=0.02)
    moved = np.concatenate(
        [(a - b).numpy().ravel() for a, b in zip(*(m.trainable_variables for m in (half, full)), strict=True)]
    )
    start = np.concatenate([v.numpy().ravel() for v in ItemSage(tiny_config, data).trainable_variables])
    end = np.concatenate([v.numpy().ravel() for v in full.trainable_variables])
    assert np.linalg.norm(moved) < 0.5 * np.linalg.norm(end - start)
