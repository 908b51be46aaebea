"""Statistics of vectors that are seen once, block by block: memory does not grow with their number."""

from typing import NamedTuple

import numpy as np

_ZERO = 1e-6
"""A vector shorter than this has no direction."""

_KEPT_HASHES = 1_000_000
_MIX = np.uint64(0x9E3779B97F4A7C15)


class VectorStatistics(NamedTuple):
    """What is known of the vectors of a space.

    rows: how many there are. non_finite, zero: share of them with NaN or infinity, and without length. norms: least,
    mean and greatest length of the others. deviation: greatest distance of such a length from one. variances:
    float64 [dimension], of the vectors that are finite. duplicates: share of the rows that repeat the very bytes of
    an earlier one; an estimate from a hashed sample of the vectors from a million distinct ones on.
    """

    rows: int
    non_finite: float
    zero: float
    norms: tuple[float, float, float]
    deviation: float
    variances: np.ndarray
    duplicates: float

    def dead(self, share: float) -> int:
        """How many dimensions have a variance below `share` of the mean one."""
        return int((self.variances <= share * self.variances.mean()).sum())


class VectorMeter:
    """Takes blocks of vectors and gives their statistics.

    Means and variances are merged block by block (Chan, Golub and LeVeque 1979), in float64.

    Args:
        dimension: of the vectors.
        kept_hashes: how many hashes of vectors are kept to find duplicates; when there are more, only those of a
            fixed fraction of all possible vectors are, with all their copies, so that the share stays unbiased.
    """

    def __init__(self, dimension: int, kept_hashes: int = _KEPT_HASHES):
        self._rows = self._non_finite = self._zero = self._measured = self._finite = 0
        self._low, self._high, self._sum = np.inf, 0.0, 0.0
        self._mean, self._squares = np.zeros(dimension), np.zeros(dimension)
        self._capacity, self._limit = kept_hashes, np.iinfo(np.uint64).max
        self._hashes, self._counts = np.empty(0, np.uint64), np.empty(0, np.int64)
        self._multipliers = np.random.default_rng(0).integers(0, 2**63, dimension, np.uint64) | np.uint64(1)

    def add(self, vectors: np.ndarray) -> None:
        """Takes float32 [rows, dimension]."""
        self._rows += len(vectors)
        finite = np.isfinite(vectors).all(axis=1)
        self._non_finite += int((~finite).sum())
        vectors = np.ascontiguousarray(vectors[finite])
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        self._zero += int((lengths < _ZERO).sum())
        self._add_moments(vectors)
        vectors, lengths = vectors[lengths >= _ZERO], lengths[lengths >= _ZERO]
        if len(vectors):
            self._measured += len(vectors)
            self._low, self._high = min(self._low, lengths.min()), max(self._high, lengths.max())
            self._sum += lengths.sum()
            self._add_hashes(vectors)

    def statistics(self) -> VectorStatistics:
        """Of everything taken so far; at least one row."""
        seen = int(self._counts.sum())
        mean = self._sum / self._measured if self._measured else 0.0
        low = self._low if self._measured else 0.0
        return VectorStatistics(
            rows=self._rows,
            non_finite=self._non_finite / self._rows,
            zero=self._zero / self._rows,
            norms=(float(low), float(mean), float(self._high)),
            deviation=float(max(1 - low, self._high - 1)) if self._measured else 0.0,
            variances=self._squares / max(self._finite, 1),
            duplicates=1 - len(self._hashes) / seen if seen else 0.0,
        )

    def _add_moments(self, vectors: np.ndarray) -> None:
        count = len(vectors)
        if count == 0:
            return
        mean = vectors.mean(axis=0, dtype=np.float64)
        squares = np.square(vectors - mean).sum(axis=0)
        total = self._finite + count
        gap = mean - self._mean
        self._squares += squares + np.square(gap) * (self._finite * count / total)
        self._mean += gap * (count / total)
        self._finite = total

    def _add_hashes(self, vectors: np.ndarray) -> None:
        hashes = _hashes(vectors, self._multipliers)
        hashes, counts = np.unique(hashes[hashes <= self._limit], return_counts=True)
        merged = np.concatenate([self._hashes, hashes])
        self._hashes, place = np.unique(merged, return_inverse=True)
        self._counts = np.bincount(place, np.concatenate([self._counts, counts]), len(self._hashes)).astype(np.int64)
        while len(self._hashes) > self._capacity:
            self._limit = self._limit // 2
            kept = self._hashes <= np.uint64(self._limit)
            self._hashes, self._counts = self._hashes[kept], self._counts[kept]


def _hashes(vectors: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """uint64 [rows]: of the bits of each row; -0 and 0 are the same."""
    bits = (vectors.astype(np.float32) + 0.0).view(np.uint32).astype(np.uint64)
    mixed = (bits + np.uint64(1)) * multipliers
    mixed ^= mixed >> np.uint64(29)
    total = (mixed * _MIX).sum(axis=1, dtype=np.uint64)
    return (total ^ (total >> np.uint64(32))) * _MIX
