"""The towers of a published bundle inside a ranking model."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from rich.console import Console

from examples.ranking.__main__ import ACTIONS, Features, fit, predict, rank, results
from examples.ranking.impressions import SHOWN, make_impressions
from examples.ranking.measure import by_query, with_intervals
from examples.ranking.model import Ranker, TowerLayer
from tfsage.bundle import Bundle
from tfsage.training.run import Run


@pytest.fixture(scope="module")
def bundle(bundles):
    return Bundle.current(bundles)


@pytest.fixture(scope="module")
def run(trained_run):
    return Run.open(trained_run)


@pytest.fixture(scope="module")
def impressions(run):
    return tuple(make_impressions(run.data, split, ACTIONS, queries=12, seed=1) for split in ("dev", "test"))


@pytest.fixture(scope="module")
def features(bundle, run):
    return Features(bundle, run)


def towers(bundle):
    return TowerLayer(bundle.query_tower), TowerLayer(bundle.product_tower)


def normalization(rows):
    layer = tf_keras.layers.Normalization()
    layer.adapt(rows.context)
    return layer


def test_impressions_hold_what_was_engaged_with_and_nothing_of_it_beside(run, impressions):
    every = {part: run.data.pairs(part, "search", "query", ACTIONS) for part in ("train", "dev", "test")}
    known = {pair for pairs in every.values() for pair in zip(pairs.query, pairs.product, strict=True)}
    for part, rows in zip(("dev", "test"), impressions, strict=True):
        own = set(zip(every[part].query, every[part].product, strict=True))
        shown = list(zip(rows.query, rows.product, strict=True))
        assert len(set(shown)) == len(shown)
        assert {pair for pair, label in zip(shown, rows.label, strict=True) if label} == {
            pair for pair in own if pair[0] in rows.query
        }
        assert not known & {pair for pair, label in zip(shown, rows.label, strict=True) if not label}
        assert (rows.label == 0).sum() == SHOWN * len(np.unique(rows.query))


def test_the_feature_table_holds_what_the_towers_compute(bundle, features, impressions):
    rows = {name: tf.constant(values[:50]) for name, values in impressions[0]._asdict().items()}
    query, product = towers(bundle)
    raw, table = features.raw(rows), features.table(rows)
    np.testing.assert_allclose(query(raw["query"]), table["query"], atol=1e-5)
    np.testing.assert_allclose(product(raw["product"]), table["product"], atol=1e-5)


def test_fine_tuning_reaches_every_part_of_the_towers(bundle, features, impressions):
    """And nothing of them before they are unfrozen; their files stay as they are."""
    layers, train = towers(bundle), impressions[0]
    ranker = Ranker(normalization(train), True, *layers)
    before = [[variable.numpy() for variable in layer.weights] for layer in layers]
    fit(ranker, features.raw, train, epochs=1, learning_rate=1e-3)
    assert len(ranker.trainable_variables) == 4
    for layer, weights in zip(layers, before, strict=True):
        assert all((variable.numpy() == own).all() for variable, own in zip(layer.weights, weights, strict=True))
        layer.trainable = True
    losses = fit(ranker, features.raw, train, epochs=3, learning_rate=1e-3)
    assert losses[-1] < losses[0] - 0.02
    for layer, weights in zip(layers, before, strict=True):
        changed = [(variable.numpy() != own).any() for variable, own in zip(layer.weights, weights, strict=True)]
        # A tower of n-grams and a product tower with attention: the bias of keys has no gradient, softmax ignores it.
        assert sum(changed) >= len(changed) - 1, [
            v.name for v, own in zip(layer.weights, changed, strict=True) if not own
        ]
    assert not np.allclose(predict(ranker, features.raw, train), 0)
    again = towers(bundle)[1].weights[0]
    np.testing.assert_array_equal(again, before[1][0])


def test_every_ranker_is_measured(bundle, features, impressions, capsys):
    train, test = impressions
    scores = rank(bundle, features, train, test, epochs=1, seed=1)
    assert list(scores) == ["without embeddings", "feature table", "frozen towers", "fine-tuned towers"]
    np.testing.assert_allclose(scores["feature table"], scores["frozen towers"], atol=1e-3)
    assert all(np.isfinite(own).all() and own.shape == test.label.shape for own in scores.values())
    Console(width=160).print(results(test, scores))
    shown = capsys.readouterr().out
    assert f"{len(np.unique(test.query))} test queries" in shown and "fine-tuned towers" in shown


def test_auc_and_ndcg_by_hand():
    query = np.array([7, 3, 7, 3, 7])
    label = np.array([1.0, 0, 0, 1, 1])
    score = np.array([0.9, 0.8, 0.7, 0.1, 0.2])
    # Query 3: the engaged one comes second of two. Query 7: ranks 1 and 3 of three.
    values = by_query(query, label, score)
    np.testing.assert_allclose(values[0], [0.0, 1 / np.log2(3)])
    np.testing.assert_allclose(values[1], [0.5, (1 + 1 / 2) / (1 + 1 / np.log2(3))])
    mean, low, high = with_intervals(values)[0]
    assert (mean, low, high) == (0.25, 0.0, 0.5)
