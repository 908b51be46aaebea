"""Several requests as one batch of arrays, and the batch's outputs back as one answer for each.

The rules, and the words of the refusals, are those of TensorFlow Serving's `batching_session.cc` and
`batching_util.cc`.
"""

from collections.abc import Hashable, Mapping, Sequence

import grpc
import numpy as np

from tfsage.serving.status import ServingError, invalid

_DEEPEST_PADDED = 6

Feeds = Mapping[Hashable, np.ndarray]


def rows_of(feeds: Feeds) -> int:
    """How many rows a request has: the common size of the first dimension of its inputs.

    Raises:
        ServingError: an input without dimensions, or inputs of different sizes (INVALID_ARGUMENT).
    """
    sizes = set()
    for array in feeds.values():
        if array.ndim == 0:
            raise invalid("Batching Run() input tensors must have at least one dimension")
        sizes.add(len(array))
    if len(sizes) != 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def merge(requests: Sequence[Feeds], rows: int, pad_variable_length: bool) -> dict[Hashable, np.ndarray]:
    """One batch of the rows of all requests.

    Args:
        requests: inputs of each; every request has the same inputs.
        rows: size of the batch. Rows that the requests do not fill are copies of the first row of the last request.
        pad_variable_length: bring inputs of different inner sizes to the largest, each with its own first element.

    Raises:
        ServingError: inner sizes differ and are not to be padded (FAILED_PRECONDITION), cannot be padded
            (INVALID_ARGUMENT), or the types differ (INTERNAL).
    """
    merged = {}
    for name in requests[0]:
        arrays = [feeds[name] for feeds in requests]
        if pad_variable_length:
            arrays = _padded(arrays)
        elif any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"Tensors with name '{getattr(name, 'name', name)}' from different tasks have different shapes and "
                f"padding is turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the "
                f"same name have equal dimensions starting with the first dim.",
            )
        if any(array.dtype != arrays[0].dtype for array in arrays):
            raise ServingError(
                grpc.StatusCode.INTERNAL,
                "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different "
                "data types.",
            )
        missing = rows - sum(map(len, arrays))
        merged[name] = (
            np.concatenate([*arrays, *[arrays[-1][:1]] * missing]) if len(arrays) + missing > 1 else arrays[0]
        )
    return merged


def split(outputs: Sequence[np.ndarray], sizes: Sequence[int], rows: int) -> list[list[np.ndarray]]:
    """The outputs of each request.

    Args:
        outputs: of the batch.
        sizes: rows of each request.
        rows: size of the batch; the rows after those of the requests are dropped.

    Raises:
        ServingError: an output that does not have one row per input row (FAILED_PRECONDITION).
    """
    ends = np.cumsum(sizes).tolist()
    starts = [0, *ends[:-1]]
    for output in outputs:
        if np.ndim(output) == 0:
            raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if len(output) != rows:
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors",
            )
    return [[output[start:end] for output in outputs] for start, end in zip(starts, ends, strict=True)]


def allowed_size(rows: int, allowed: Sequence[int]) -> int:
    """The smallest allowed batch size (ascending) that holds so many rows; without one, as many as there are."""
    return next((size for size in allowed if size >= rows), rows)


def _padded(arrays: list[np.ndarray]) -> list[np.ndarray]:
    if any(array.ndim > _DEEPEST_PADDED for array in arrays):
        raise invalid("Only tensors with rank from 1 to 6 can be padded.")
    if len({array.ndim for array in arrays}) > 1:
        raise invalid("Tensors of different ranks cannot be padded to one shape.")
    largest = np.max([array.shape for array in arrays], axis=0)[1:]
    padded = []
    for array in arrays:
        widths = [(0, 0), *((0, int(size - own)) for size, own in zip(largest, array.shape[1:], strict=True))]
        if any(after for _, after in widths):
            if array.size == 0:
                raise invalid("Got empty tensor in batch of non-empty tensors.")
            array = np.pad(array, widths, constant_values=array.flat[0])
        padded.append(array)
    return padded
