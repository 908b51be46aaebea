import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, top_k_accuracy_score

from tfsage.probe.measure import METRICS, compare, label_sums, metrics_of


@pytest.fixture
def predictions():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 200)
    # The last label is never predicted.
    return rng.random((200, 6)) * [1, 1, 1, 1, 1, 0] + 0.3 * np.eye(6)[labels], labels


def test_metrics_are_those_of_scikit_learn(predictions):
    probabilities, labels = predictions
    units = np.random.default_rng(2).integers(0, 40, 200)
    sums = label_sums(probabilities, labels, units, 3).sum(axis=0)
    said = probabilities.argmax(axis=1)
    expected = {
        "accuracy": (said == labels).mean(),
        "macro_f1": f1_score(labels, said, average="macro", labels=range(5)),
        "macro_precision": precision_score(labels, said, average="macro", labels=range(5), zero_division=0),
        "top_k": top_k_accuracy_score(labels, probabilities, k=3, labels=range(6)),
    }
    np.testing.assert_allclose(metrics_of(sums), [expected[name] for name in METRICS])


def test_sums_are_of_the_rows_of_each_unit(predictions):
    probabilities, labels = predictions
    units = np.random.default_rng(2).integers(0, 7, 200)
    for unit in range(7):
        own = units == unit
        alone = label_sums(probabilities[own], labels[own], np.zeros(own.sum(), int), 3)
        np.testing.assert_array_equal(label_sums(probabilities, labels, units, 3)[unit], alone[0])


def test_differences_are_paired(predictions):
    """The better one is right wherever the other is, and now and then beside: every draw says that it is better."""
    probabilities, labels = predictions
    better = probabilities.copy()
    better[:20] = np.eye(6)[labels[:20]]
    units = np.arange(200)
    systems = compare(
        {name: label_sums(p, labels, units, 2) for name, p in (("a", better), ("b", probabilities))}, 500, 1
    )
    paired = systems["a"]["differences"]["b"]["accuracy"]
    assert 0 < paired["low"] < paired["difference"] < paired["high"]
    assert paired["difference"] == pytest.approx(systems["a"]["accuracy"]["value"] - systems["b"]["accuracy"]["value"])
    assert paired["low"] == pytest.approx(-systems["b"]["differences"]["a"]["accuracy"]["high"])
    assert systems["a"]["accuracy"]["low"] < systems["b"]["accuracy"]["high"], "without pairing nothing could be said"


def test_a_binomial_interval():
    right = np.random.default_rng(3).random(400) < 0.7
    probabilities = np.stack([right, ~right], axis=1).astype(float)
    own = compare({"a": label_sums(probabilities, np.zeros(400, int), np.arange(400), 1)}, 2000, 1)["a"]["accuracy"]
    error = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 400)
    assert own["low"] == pytest.approx(right.mean() - error, abs=0.01)
    assert own["high"] == pytest.approx(right.mean() + error, abs=0.01)
