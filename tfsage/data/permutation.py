"""A random permutation of [0, size) that is computed point by point, so that it needs no memory and no state."""

import numpy as np

_ROUNDS = 8


def permute(index: np.ndarray, size: int | np.ndarray, seed: int | np.ndarray) -> np.ndarray:
    """The image of each index under a pseudo-random permutation of [0, size) chosen by `seed`.

    A generalized Feistel network over the smallest rectangle of nearly equal sides that holds `size` points, walked
    along its cycles until the value falls below `size` (Black and Rogaway, 2002, methods 2 and 3), so that shuffling
    an epoch costs O(batch), not O(epoch).

    Args:
        index: int64 [n], each in [0, size).
        size: number of elements, at least 1; one for all, or one for each index.
        seed: chooses the permutation; one for all, or one for each index (uint64 [n]).

    Returns:
        int64 [n], each in [0, size); distinct indices have distinct images.
    """
    return _walk(_feistel, index, size, seed)


def unpermute(image: np.ndarray, size: int | np.ndarray, seed: int | np.ndarray) -> np.ndarray:
    """The inverse of `permute`: the index of each image, int64 [n]."""
    return _walk(_feistel_inverse, image, size, seed)


def mix64(value: np.ndarray) -> np.ndarray:
    """The splitmix64 finalizer: a bijection of uint64 whose every output bit depends on every input bit."""
    with np.errstate(over="ignore"):
        return _mix(np.asarray(value, np.uint64))


def uniform(keys: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each random key, uint64 [n]: float64 [n]."""
    return (mix64(keys) >> np.uint64(11)) * 2.0**-53


def _mix(value: np.ndarray) -> np.ndarray:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _walk(step, index: np.ndarray, size: int | np.ndarray, seed: int | np.ndarray) -> np.ndarray:
    """Applies `step` to each index, and again for as long as the value is not below `size`."""
    value = np.array(index, np.int64).astype(np.uint64)
    size = np.broadcast_to(np.asarray(size, np.uint64), value.shape)
    keys = mix64(np.arange(_ROUNDS, dtype=np.uint64)[:, None] + mix64(np.asarray(seed, np.uint64)))
    keys = np.broadcast_to(keys, (_ROUNDS, *value.shape))
    height = np.ceil(np.sqrt(size)).astype(np.uint64)
    width = (size + height - np.uint64(1)) // height
    value = step(value, height, width, keys)
    outside = np.flatnonzero(value >= size)
    while outside.size:
        value[outside] = step(value[outside], height[outside], width[outside], keys[:, outside])
        outside = outside[value[outside] >= size[outside]]
    return value.astype(np.int64)


def _feistel(value: np.ndarray, height: np.ndarray, width: np.ndarray, keys: np.ndarray) -> np.ndarray:
    row, column = np.divmod(value, width)
    for even, odd in zip(keys[::2], keys[1::2], strict=True):
        row = (row + _mix(column ^ even) % height) % height
        column = (column + _mix(row ^ odd) % width) % width
    return row * width + column


def _feistel_inverse(value: np.ndarray, height: np.ndarray, width: np.ndarray, keys: np.ndarray) -> np.ndarray:
    row, column = np.divmod(value, width)
    for even, odd in zip(keys[-2::-2], keys[::-2], strict=True):
        column = (column + width - _mix(row ^ odd) % width) % width
        row = (row + height - _mix(column ^ even) % height) % height
    return row * width + column
