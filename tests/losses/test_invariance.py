"""Order, division into parts, padding and chunks change neither the loss nor its gradient, in any form."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.forms import valid_forms
from tests.losses.reference import batch
from tfsage.losses import kernel, retrieval
from tfsage.losses.retrieval import SampledSoftmaxTask

FORMS = valid_forms({"temperature": 0.25, "learn_temperature": False}, [" smoothed prefixes", " hardest prefixes"])


@pytest.fixture(params=FORMS)
def task(request):
    return SampledSoftmaxTask(FORMS[request.param])


def evaluate(task, data, hard_weight=0.5):
    """The losses, and the gradients for queries, candidates and hard negatives."""
    rows, candidates, hard = data.rows(), data.candidates(), data.hard()
    inputs = [rows.embedding, candidates.embedding, hard.embedding]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        losses = task.total(rows, candidates, hard, hard_weight)
    return losses, [tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(losses.total, inputs)]


def close(left, right):
    for ours, theirs in zip(left, right, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_order_of_the_columns(task):
    data = batch()
    order = np.concatenate([[3, 7, 0, 5, 1, 6, 2, 4], [9, 14, 8, 12, 10, 13, 11]])
    losses, gradients = evaluate(task, data)
    moved, moved_gradients = evaluate(task, data.reordered(order))
    close(moved, losses)
    close(moved_gradients, [gradients[0], gradients[1][order], gradients[2]])


def test_order_of_the_rows(task):
    data, order = batch(), np.array([4, 2, 0, 3, 1])
    losses, gradients = evaluate(task, data)
    part = data.part(order)
    moved, moved_gradients = evaluate(task, part)
    close(moved, [losses.total, *(tf.gather(field, order) for field in losses[1:])])
    close(moved_gradients[:2], [gradients[0][order], gradients[1]])


@pytest.mark.parametrize("parts", [[[0, 1, 2, 3, 4], []], [[3, 0], [4, 1], [2]]])
def test_parts_add_up_to_the_whole(task, parts):
    """As replicas do: rows of their own, against the candidates of all."""
    data = batch()
    whole, gradients = evaluate(task, data)
    total, columns = 0.0, np.zeros_like(gradients[1])
    for rows in parts:
        losses, (query, column, hard) = evaluate(task, data.part(rows))
        total, columns = total + losses.total, columns + column
        close(losses[1:], [tf.gather(field, np.array(rows, int)) for field in whole[1:]])
        close([query, hard], [gradients[0][np.array(rows, int)], gradients[2][np.isin(data.hard_row, rows)]])
    close([total, columns], [whole.total, gradients[1]])


def test_rows_of_weight_zero_as_padding(task):
    data = batch()
    whole, gradients = evaluate(task, data)
    twice = data.part([0, 1, 2, 3, 4, 2, 0])
    padded = replace(
        twice,
        weight=np.concatenate([data.weight, [0.0, 0.0]]),
        known=data.known,
        hard_row=data.hard_row,
        hard_embedding=data.hard_embedding,
    )
    losses, padded_gradients = evaluate(task, padded)
    close([losses.total, *(field[:5] for field in losses[1:])], whole)
    close([padded_gradients[0][:5], *padded_gradients[1:]], gradients)
    assert not padded_gradients[0][5:].any()


@pytest.mark.parametrize("rows", [1, 3])
def test_chunks(task, rows, monkeypatch):
    data = batch()
    whole, gradients = evaluate(task, data)
    monkeypatch.setattr(kernel, "_FEWEST_ROWS", rows)
    monkeypatch.setattr(retrieval, "row_losses", functools.partial(retrieval.row_losses, chunk_size=1))
    in_chunks, chunk_gradients = evaluate(task, data)
    close(in_chunks, whole)
    close(chunk_gradients, gradients)
