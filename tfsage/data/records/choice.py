"""Whether training reads product features from the stores or from records."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from tfsage.data.features import Features

MEMORY_SHARE = 0.5
"""Stores up to this share of memory stay in the page cache, the rest being needed by training itself."""

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def choose_reader(
    asked: Literal["auto", "store", "records"], features: Iterable[Features], memory: int | None = None
) -> Literal["store", "records"]:
    """Settles `auto`: records once the stores that training reads are larger than half of memory.

    Random access to stores that the page cache cannot hold waits for the disk at every row; records are read in
    sequence, at the price of a copy of the features of every pair.

    Args:
        asked: `training.product_features` of the config.
        features: the gatherers of all candidate towers.
        memory: bytes; what this process may use by default.
    """
    if asked != "auto":
        return asked
    sizes = {name: size for gather in features for name, size in gather.store_bytes.items()}
    limit = MEMORY_SHARE * (usable_memory() if memory is None else memory)
    return "records" if sum(sizes.values()) > limit else "store"


def usable_memory(cgroup_limit: Path = _CGROUP_LIMIT) -> int:
    """Bytes of memory that this process may use, page cache included: the machine's, or its container's."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(physical, int(cgroup_limit.read_text()))
    except (OSError, ValueError):
        return physical
