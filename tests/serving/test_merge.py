"""Merging and splitting against plain rows: nothing is lost, swapped or invented."""

import numpy as np
import pytest

from tfsage.serving.merge import allowed_size, merge, rows_of, split
from tfsage.serving.status import ServingError

RANDOM = np.random.default_rng(1)


def refusal(call, *arguments) -> tuple[str, str]:
    with pytest.raises(ServingError) as refused:
        call(*arguments)
    return refused.value.code.name, refused.value.message


def test_every_request_gets_its_own_rows_back():
    sizes = [3, 1, 0, 4]
    requests = [{"x": RANDOM.normal(size=(size, 2)), "n": RANDOM.integers(9, size=size)} for size in sizes]
    batch = merge(requests, 8, False)
    assert {name: array.shape for name, array in batch.items()} == {"x": (8, 2), "n": (8,)}
    for request, (x, n) in zip(requests, split([batch["x"], batch["n"]], sizes, 8), strict=True):
        np.testing.assert_array_equal(x, request["x"])
        np.testing.assert_array_equal(n, request["n"])


def test_rows_to_fill_up_with_are_the_first_of_the_last_request_and_are_dropped():
    requests = [{"text": np.array(texts, object)} for texts in ([b"a"], [b"b", b"c"])]
    batch = merge(requests, 5, False)["text"]
    assert batch.tolist() == [b"a", b"b", b"c", b"b", b"b"]
    assert [[part.tolist() for part in parts] for parts in split([batch], [1, 2], 5)] == [[[b"a"]], [[b"b", b"c"]]]


def test_inner_sizes_that_differ_are_refused_or_filled_with_each_requests_first_element():
    requests = [{"x": np.array([[1, 2]])}, {"x": np.array([[3, 4, 5], [6, 7, 8]])}]
    code, message = refusal(merge, requests, 3, False)
    assert code == "FAILED_PRECONDITION"
    assert message.startswith("Tensors with name 'x' from different tasks have different shapes and padding is turned")
    assert merge(requests, 3, True)["x"].tolist() == [[1, 2, 1], [3, 4, 5], [6, 7, 8]]


def test_padding_knows_its_limits():
    deep = [{"x": np.zeros([1] * 7)}] * 2
    assert refusal(merge, deep, 2, True) == ("INVALID_ARGUMENT", "Only tensors with rank from 1 to 6 can be padded.")
    empty = [{"x": np.zeros([1, 0])}, {"x": np.zeros([1, 2])}]
    assert refusal(merge, empty, 2, True)[1] == "Got empty tensor in batch of non-empty tensors."
    assert refusal(merge, [{"x": np.zeros([1])}, {"x": np.zeros([1, 2])}], 2, True)[0] == "INVALID_ARGUMENT"


def test_types_are_not_mixed():
    mixed = [{"x": np.zeros(1, np.float32)}, {"x": np.array([b"a"], object)}]
    code, message = refusal(merge, mixed, 2, False)
    assert code == "INTERNAL"
    assert "Cannot concatenate tensors that have different data types" in message


def test_rows_of_a_request():
    assert rows_of({"x": np.zeros([3, 2]), "n": np.zeros(3)}) == 3
    assert refusal(rows_of, {"x": np.float32(1)}) == (
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have at least one dimension",
    )
    assert refusal(rows_of, {"x": np.zeros(2), "n": np.zeros(3)}) == (
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have equal 0th-dimension size",
    )


def test_outputs_that_are_not_made_of_the_inputs_rows():
    assert refusal(split, [np.float32(1)], [1], 1) == (
        "FAILED_PRECONDITION",
        "Batched output tensor has 0 dimensions",
    )
    code, message = refusal(split, [np.zeros(3)], [1, 1], 2)
    assert code == "FAILED_PRECONDITION"
    assert message.startswith("Batched output tensor's 0th dimension does not equal the sum")


def test_allowed_sizes_round_up():
    assert [allowed_size(rows, (2, 8)) for rows in (1, 2, 3, 8, 9)] == [2, 2, 8, 8, 9]
    assert allowed_size(5, ()) == 5
