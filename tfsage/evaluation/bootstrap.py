"""Confidence intervals by resampling queries: the pairs of one query rise and fall together."""

import numpy as np
from scipy.stats import norm

CONFIDENCE = 0.95

_CELLS = 4_000_000


def resampled_sums(columns: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums of per-query columns over queries drawn with replacement.

    All columns share each draw, so that a difference of two of them is a paired difference.

    Args:
        columns: float [queries, columns], one row per query.
        resamples: number of draws of as many queries as there are; memory does not grow with it.
        seed: of the draws.

    Returns:
        float64 [resamples, columns].
    """
    queries = len(columns)
    generator = np.random.Generator(np.random.Philox(seed))
    sums = np.empty((resamples, columns.shape[1]))
    step = max(1, _CELLS // queries)
    for start in range(0, resamples, step):
        draws = [generator.integers(queries, size=queries) for _ in range(min(step, resamples - start))]
        times = np.stack([np.bincount(draw, minlength=queries) for draw in draws]).astype(np.float64)
        sums[start : start + len(draws)] = times @ columns
    return sums


def interval(values: np.ndarray) -> tuple[float, float]:
    """The percentile interval of resampled values, float [resamples], at `CONFIDENCE`."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share of `count` independent trials, at `CONFIDENCE`."""
    z = norm.ppf((1 + CONFIDENCE) / 2)
    middle = share + z**2 / (2 * count)
    reach = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return float((middle - reach) / scale), float((middle + reach) / scale)
