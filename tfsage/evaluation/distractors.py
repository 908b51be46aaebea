"""The distractors C~ of an evaluation: a fixed sample of the catalog, chosen by a hash of the ids, and named by one.

Recall depends on what a product competes with, so two evaluations can be compared only when the ids of their sets are
the same. Samples of different sizes are nested, up to the whole catalog: recall over their size is a curve of one set.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

VERSION = 1
"""Of the way in which distractors are chosen."""


class DistractorSet(NamedTuple):
    """The distractors of an evaluation.

    id: "v1-" and 12 hexadecimal digits: a hash of the product ids in the set, in whatever order they stand.
    rows: int64 [c], rows of the catalog, in hashed order.
    remaining: int64 [products - c], the rest of the catalog, in hashed order.
    seed: of the order.
    """

    id: str
    rows: np.ndarray
    remaining: np.ndarray
    seed: int

    def describe(self) -> dict:
        """What metrics.json says of it."""
        return {"id": self.id, "version": VERSION, "seed": self.seed, "size": len(self.rows)}


def choose_distractors(product_ids: Sequence[str], count: int, seed: int) -> DistractorSet:
    """The first `count` products of the hashed order, or the whole catalog when there are no more."""
    order = hashed_order(product_ids, seed)
    rows, remaining = order[:count], order[count:]
    return DistractorSet(set_id([product_ids[row] for row in rows]), rows, remaining, seed)


def hashed_order(ids: Sequence[str], seed: int) -> np.ndarray:
    """int64 [n]: an order of the ids that depends on the ids and the seed alone, not on where they stand.

    The first m of it are a fixed uniform sample, and samples of different sizes are nested.
    """
    key = int(seed).to_bytes(8, "little", signed=True)
    digests = (hashlib.blake2b(name.encode("utf-8"), digest_size=8, key=key).digest() for name in ids)
    return np.argsort(np.frombuffer(b"".join(digests), "<u8"), kind="stable")


def set_id(ids: Sequence[str]) -> str:
    """The name of a set of ids: equal for equal sets."""
    digest = hashlib.sha256()
    for name in sorted(ids):
        encoded = name.encode("utf-8")
        # With its length before it, no id can run into the next.
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return f"v{VERSION}-{digest.hexdigest()[:12]}"


def curve_sizes(distractors: int, products: int) -> tuple[int, ...]:
    """The sizes of the nested samples at which recall is told: 100, 200, 500, 1000, ..., the set, the whole catalog."""
    round_numbers = {digit * 10**power for power in range(2, 19) for digit in (1, 2, 5)}
    return tuple(sorted({size for size in round_numbers if size < products} | {distractors, products}))
