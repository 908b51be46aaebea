"""Streams of ids, and what plain numpy says of them."""

import numpy as np

from tfsage.losses.frequency import Decay, Windows


def zipf_ids(size, items, seed=0):
    p = 1.0 / np.arange(1, items + 1)
    return np.random.default_rng(seed).choice(items, size, p=p / p.sum())


def observed(batches, size, aging):
    """How often each id below `size` was observed in all batches so far, as far as it is not forgotten."""
    counts = np.array([np.bincount(batch, minlength=size) for batch in batches])
    if isinstance(aging, Windows):
        stretch = np.arange(len(batches)) // aging.every
        return counts[stretch > stretch[-1] - aging.count].sum(axis=0)
    units = np.zeros(size)
    for place, count in enumerate(counts):
        if isinstance(aging, Decay) and place and place % aging.every == 0:
            units = np.rint(units * aging.factor)
        units += count * 2.0**16
    return units / 2.0**16
