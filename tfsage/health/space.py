"""What the doctor examines: the vectors of a space, read in blocks, and its towers as plain functions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """Some products: ids and titles, and their vectors, float32 [rows, dimension]."""

    ids: Sequence[str]
    titles: Sequence[str]
    vectors: np.ndarray


class Canaries(NamedTuple):
    """Vectors of the same inputs, float32 [n, dimension]: as a tower computes them now, and as it did when exported."""

    tower: str
    now: np.ndarray
    exported: np.ndarray


@dataclass(frozen=True)
class Space:
    """One version of an embedding space.

    Attributes:
        name: what to call it.
        dimension: of its vectors.
        products: how many there are.
        blocks: reads all products from the beginning, block by block.
        embed: texts → float32 [n, dimension], unit, by the query tower; None where the space has none.
        canary_texts: queries that were kept with the space.
        canaries: of every tower; embedded when it is called.
        missing: share of the products that lack a feature, by its name, as far as it is known.
    """

    name: str
    dimension: int
    products: int
    blocks: Callable[[], Iterator[Block]]
    embed: Callable[[Sequence[str]], np.ndarray] | None = None
    canary_texts: Sequence[str] = ()
    canaries: Callable[[], list[Canaries]] = list
    missing: dict[str, float] = field(default_factory=dict)
