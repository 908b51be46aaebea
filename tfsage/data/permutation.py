"""A random permutation of [0, size) that is computed point by point, so that it needs no memory and no state."""

import numpy as np

_ROUNDS = 6


def permute(index: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The image of each index under a pseudo-random permutation of [0, size) chosen by `seed`.

    A Feistel network over the smallest even number of bits that covers `size`, walked along its cycles until the
    value falls below `size` (Black and Rogaway, 2002), so that shuffling an epoch costs O(batch), not O(epoch).

    Args:
        index: int64 [n], each in [0, size).
        size: number of elements, at least 1.
        seed: chooses the permutation.

    Returns:
        int64 [n], each in [0, size); distinct indices have distinct images.
    """
    half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
    keys = mix64(np.arange(_ROUNDS, dtype=np.uint64) + mix64(np.uint64(seed)))
    value = _feistel(np.asarray(index, np.int64).astype(np.uint64), half, keys)
    outside = np.flatnonzero(value >= size)
    while outside.size:
        value[outside] = _feistel(value[outside], half, keys)
        outside = outside[value[outside] >= size]
    return value.astype(np.int64)


def mix64(value: np.ndarray) -> np.ndarray:
    """The splitmix64 finalizer: a bijection of uint64 whose every output bit depends on every input bit."""
    with np.errstate(over="ignore"):
        value = np.asarray(value, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


def uniform(keys: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each random key, uint64 [n]: float64 [n]."""
    return (mix64(keys) >> np.uint64(11)) * 2.0**-53


def _feistel(value: np.ndarray, half: np.uint64, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for key in keys:
        left, right = right, left ^ (mix64(right ^ key) & mask)
    return (left << half) | right
