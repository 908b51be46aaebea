"""Times several ways of doing the same, so that whatever else the machine does meanwhile hits them alike."""

import statistics
import time
from collections.abc import Callable


def interleave(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Calls every candidate once per round, in turn, and takes the median of each.

    One call of each comes first and is not timed: it pays for tracing and warm caches.

    Args:
        candidates: name -> a function that returns when its work is done.
        rounds: timed calls of each.

    Returns:
        name -> median seconds of a call.
    """
    for candidate in candidates.values():
        candidate()
    seconds = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            start = time.perf_counter()
            candidate()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
