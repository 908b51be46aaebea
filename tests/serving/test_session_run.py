"""Calls into a session: lenient in shape like TensorFlow Serving, privately or, without that call, publicly."""

import numpy as np
import pytest
import tensorflow as tf

from tfsage.serving import session_run
from tfsage.serving.session_run import SessionRunner
from tfsage.serving.status import ServingError


class Graph:
    """Placeholders and a few tensors computed from them."""

    def __init__(self):
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.x = tf.compat.v1.placeholder(tf.float32, [None, 1])
            self.text = tf.compat.v1.placeholder(tf.string, [None])
            self.doubled = 2 * self.x
            self.number = tf.strings.to_number(self.text)
            self.endless = tf.while_loop(lambda i: i < 2, lambda i: i * 0, [tf.reduce_sum(self.x)])[0]
        self.session = tf.compat.v1.Session(graph=self.graph)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph()


@pytest.fixture(params=["private", "public"])
def runner(request, graph, monkeypatch) -> SessionRunner:
    if request.param == "public":
        monkeypatch.setattr(session_run, "_raw_run", None)
    return SessionRunner(graph.session)


def test_values_come_in_the_order_of_the_fetches(runner, graph):
    x, number = np.array([[1.0]], np.float32), np.array([b"7"], object)
    values = runner({graph.x: x, graph.text: number}, [graph.number, graph.doubled])
    assert [value.tolist() for value in values] == [[7.0], [[2.0]]]


def test_the_private_call_does_not_check_shapes(graph):
    (value,) = SessionRunner(graph.session)({graph.x: np.array([1, 2], np.float32)}, [graph.doubled])
    assert value.tolist() == [2, 4]


@pytest.mark.parametrize("text", [b"seven", b"\xff\xfe"], ids=["text", "not utf-8"])
def test_what_a_kernel_refuses_is_an_invalid_argument(runner, graph, text):
    with pytest.raises(ServingError) as refused:
        runner({graph.text: np.array([text], object)}, [graph.number])
    assert refused.value.code.name == "INVALID_ARGUMENT"


def test_a_wrong_type_is_an_invalid_argument(runner, graph):
    with pytest.raises(ServingError) as refused:
        runner({graph.x: np.array([[b"a"]], object)}, [graph.doubled])
    assert refused.value.code.name == "INVALID_ARGUMENT"


def test_a_run_that_takes_too_long_is_given_up(runner, graph):
    with pytest.raises(ServingError) as refused:
        runner({graph.x: np.zeros([1, 1], np.float32)}, [graph.endless], timeout=0.2)
    assert refused.value.code.name == "DEADLINE_EXCEEDED"
