"""Training queries that explain hits: which they are, what they say, and that a model server's failure harms nobody."""

from types import SimpleNamespace

import numpy as np
import pytest

from tfsage.errors import TfsageError
from tfsage.retrieval import explain
from tfsage.retrieval.explain import Explainer, training_queries


class Texts(list):
    def gather(self, rows):
        return [self[row] for row in rows]


def prepared(texts, held_out):
    return SimpleNamespace(
        manifest={"queries": {"query": {}} if texts is not None else {"pin": {}}},
        queries=lambda kind: SimpleNamespace(texts=Texts(texts)),
        held_out_queries=lambda kind: np.array(held_out, np.int64),
    )


def test_held_out_queries_never_explain(monkeypatch):
    texts = [f"q{row}" for row in range(100)]
    assert training_queries(prepared(texts[:5], [1, 3])) == ["q0", "q2", "q4"]
    assert training_queries(prepared(None, [])) == []
    monkeypatch.setattr(explain, "MOST_QUERIES", 5)
    some = training_queries(prepared(texts, [0, 99]))
    assert (len(set(some)), some[0], some[-1]) == (5, "q1", "q98")


def test_the_nearest_queries_of_each_product_with_their_cosines():
    vectors = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    client = SimpleNamespace(predict=lambda texts: vectors[[int(text) for text in texts]])
    explainer = Explainer([str(row) for row in range(200)], client)
    explainer.wait(10)
    products = vectors[[5, 150]]
    for given, reasons in zip(products, explainer.nearest(products, k=4), strict=True):
        scores = vectors @ given
        order = np.argsort(-scores)[:4]
        assert [int(text) for text, _ in reasons] == list(order)
        assert [score for _, score in reasons] == pytest.approx(list(scores[order]), rel=1e-5)
    explainer.close()


def test_without_a_model_server_nothing_is_explained_and_that_is_said(capsys):
    def fails(texts):
        raise TfsageError("the server is away")

    explainer = Explainer(["a"], SimpleNamespace(predict=fails))
    explainer.wait(10)
    assert explainer.nearest(np.ones((2, 4), np.float32)) == [[], []]
    assert "not explained by training queries: the server is away" in capsys.readouterr().err
