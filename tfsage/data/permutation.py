"""A random permutation of [0, size) that is computed point by point, so that it needs no memory and no state."""

from collections.abc import Callable

import numpy as np

_ROUNDS = 6


def permute(index: np.ndarray, size: int | np.ndarray, seed: int | np.ndarray) -> np.ndarray:
    """The image of each index under a pseudo-random permutation of [0, size) chosen by `seed`.

    A Feistel network over the smallest even number of bits that covers `size`, walked along its cycles until the
    value falls below `size` (Black and Rogaway, 2002), so that shuffling an epoch costs O(batch), not O(epoch).

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


def _walk(step: Callable, index: np.ndarray, size: int | np.ndarray, seed: int | np.ndarray) -> np.ndarray:
    """Applies `step` to each index, and again for as long as the value is not below `size`."""
    value = np.array(index, np.int64).astype(np.uint64)
    size = np.asarray(size, np.uint64)
    keys = mix64(np.arange(_ROUNDS, dtype=np.uint64) + mix64(np.asarray(seed, np.uint64))[..., None])
    # The exponent of size − 1 as a floating-point number is its number of bits.
    half = np.maximum(1, (np.frexp(np.maximum(size, 2) - 1.0)[1] + 1) // 2).astype(np.uint64)
    outside = np.arange(len(value))
    while outside.size:
        own = [part if not part.ndim else part[outside] for part in (half, size)]
        own_keys = keys if keys.ndim == 1 else keys[outside]
        value[outside] = step(value[outside], own[0], own_keys)
        outside = outside[value[outside] >= own[1]]
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


def _feistel(value: np.ndarray, half: np.ndarray, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for key in np.moveaxis(keys, -1, 0):
        left, right = right, left ^ (mix64(right ^ key) & mask)
    return (left << half) | right


def _feistel_inverse(value: np.ndarray, half: np.ndarray, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for key in np.moveaxis(keys, -1, 0)[::-1]:
        left, right = right ^ (mix64(left ^ key) & mask), left
    return (left << half) | right
