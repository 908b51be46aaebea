"""A healthy space of plain arrays, and what makes it ill."""

from collections.abc import Iterator

import numpy as np

from tests.evaluation.worlds import unit
from tfsage.health import Block, Canaries, Space

PRODUCTS, DIMENSION, BLOCK = 1500, 16, 400


def healthy_vectors(seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((PRODUCTS, DIMENSION)))


def make_space(vectors: np.ndarray | None = None, turn: np.ndarray | None = None, **changes) -> Space:
    """Products p0, p1, ... with titles t0, t1, ...; a title, asked as a query, lies near its product's vector.

    Args:
        vectors: of the products, the healthy ones by default.
        turn: a rotation [DIMENSION, DIMENSION] of products and queries alike.
        changes: fields of `Space`.
    """
    known = healthy_vectors() if turn is None else healthy_vectors() @ turn.astype(np.float32)
    vectors = known if vectors is None else vectors
    noise = 0.1 * np.random.default_rng(1).standard_normal((PRODUCTS, DIMENSION))
    noise = noise if turn is None else noise @ turn
    queries = unit(known + noise)

    def blocks() -> Iterator[Block]:
        for start in range(0, len(vectors), BLOCK):
            rows = range(start, min(start + BLOCK, len(vectors)))
            yield Block([f"p{row}" for row in rows], [f"t{row}" for row in rows], vectors[start : start + BLOCK])

    fields = {
        "name": "new",
        "dimension": DIMENSION,
        "products": len(vectors),
        "blocks": blocks,
        "embed": lambda texts: queries[[int(text[1:]) for text in texts]],
        "canary_texts": ["t0", "t1"],
        "canaries": lambda: [Canaries("query tower", queries[:5], queries[:5])],
        "missing": {"title": 0.01, "brand": 0.4},
    }
    return Space(**{**fields, **changes})


def rotation(seed: int = 5) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((DIMENSION, DIMENSION)))[0]
