"""The latent truth of the synthetic shop: attributes, and the space in which similar things are near."""

from typing import NamedTuple

import numpy as np

from tfsage.data.synthetic import words


class Attribute(NamedTuple):
    """One attribute of a product.

    Attributes:
        forms: for each value, the words that people use for it.
        dimension: size of the attribute's own block of the latent space.
        weight: how much it matters to relevance; the norm of its part of a latent vector.
        seen: how much of it a picture shows, from 0 (nothing) to 1.
    """

    forms: tuple[tuple[str, ...], ...]
    dimension: int
    weight: float
    seen: float


def _forms(values) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(value.split("|")) for value in values)


_MATERIALS = [material for family in words.MATERIALS.values() for material in family]
_SUBTYPES = sorted({subtype for category in words.CATEGORIES for subtype in category[3].split()})
BRANDS = tuple(start + end for start in words.BRAND_STARTS for end in words.BRAND_ENDS)

ATTRIBUTES = {
    "category": Attribute(_forms(category[0] for category in words.CATEGORIES), 24, 1.0, 1.0),
    "subtype": Attribute(_forms(_SUBTYPES), 16, 0.5, 0.8),
    "style": Attribute(_forms(words.STYLES), 10, 0.55, 0.7),
    "material": Attribute(_forms(_MATERIALS), 16, 0.5, 0.4),
    "color": Attribute(_forms(words.COLORS), 12, 0.55, 1.0),
    "pattern": Attribute(_forms(words.PATTERNS), 8, 0.4, 1.0),
    "shape": Attribute(_forms(words.SHAPES), 8, 0.45, 1.0),
    "brand": Attribute(_forms(BRANDS), 16, 0.5, 0.0),
    "room": Attribute(_forms(words.ROOMS), 6, 0.35, 0.0),
    "feature": Attribute(_forms(words.FEATURES), 8, 0.5, 0.0),
    "size": Attribute(_forms(words.SIZES), 4, 0.3, 0.0),
}
"""`shape` is only ever seen, `brand`, `room`, `feature` and `size` are only ever read: neither modality is enough."""

NAMES = tuple(ATTRIBUTES)
LATENT_DIMENSION = sum(attribute.dimension for attribute in ATTRIBUTES.values())
ABSENT = -1
"""The value of an attribute that a query does not mention."""

_SUBTYPES_OF = [[_SUBTYPES.index(subtype) for subtype in category[3].split()] for category in words.CATEGORIES]
_MATERIALS_OF = [
    [_MATERIALS.index(material) for family in category[2].split() for material in words.MATERIALS[family]]
    for category in words.CATEGORIES
]


class Concepts:
    """The latent space: every value of every attribute is a point of its attribute's block.

    Blocks are orthogonal, so two things are as similar as the sum over attributes of how similar their values are.
    Every product has all attributes, hence the same norm.

    Args:
        seed: draws the points.
    """

    def __init__(self, seed: int):
        rng = np.random.default_rng([seed, 1])
        self._points = {}
        for name, attribute in ATTRIBUTES.items():
            points = rng.normal(size=(len(attribute.forms), attribute.dimension))
            self._points[name] = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)

    def latent(self, values: dict[str, np.ndarray], seen: bool = False) -> np.ndarray:
        """Latent vectors.

        Args:
            values: int [n] by attribute; `ABSENT` contributes nothing.
            seen: only what a picture shows.

        Returns:
            float32 [n, LATENT_DIMENSION], not normalised.
        """
        blocks = []
        for name, attribute in ATTRIBUTES.items():
            scale = np.where(values[name] == ABSENT, 0.0, attribute.weight * (attribute.seen if seen else 1.0))
            blocks.append(self._points[name][values[name]] * scale[:, None].astype(np.float32))
        return np.concatenate(blocks, axis=1)

    def similarity(self, queries: dict[str, np.ndarray], candidates: dict[str, np.ndarray]) -> np.ndarray:
        """Cosine of each query's latent vector with those of its own candidates.

        Args:
            queries: int [n] by attribute; at least one attribute of each query is present.
            candidates: int [n, m] by attribute, likewise.

        Returns:
            float32 [n, m].
        """
        total = np.zeros(candidates["category"].shape, np.float32)
        for name, attribute in ATTRIBUTES.items():
            alike = self._points[name] @ self._points[name].T
            present = (queries[name] != ABSENT).astype(np.float32) * np.float32(attribute.weight**2)
            both = present[:, None] * (candidates[name] != ABSENT)
            total += alike[queries[name][:, None], candidates[name]] * both
        return total / (_norm(queries)[:, None] * _norm(candidates))


def _norm(values: dict[str, np.ndarray]) -> np.ndarray:
    """The length of latent vectors: float32, of the shape of each attribute."""
    squared = np.zeros(values["category"].shape, np.float32)
    for name, attribute in ATTRIBUTES.items():
        squared += (values[name] != ABSENT).astype(np.float32) * np.float32(attribute.weight**2)
    return np.sqrt(squared)


def draw_products(count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The attributes of random products: int16 [count] by name; subtype and material suit the category."""
    values = {name: _uneven(rng, len(attribute.forms), count) for name, attribute in ATTRIBUTES.items()}
    values["category"] = rng.integers(len(words.CATEGORIES), size=count).astype(np.int16)
    for name, allowed in (("subtype", _SUBTYPES_OF), ("material", _MATERIALS_OF)):
        sizes = np.array([len(choice) for choice in allowed])
        table = np.array([[choice[place % len(choice)] for place in range(sizes.max())] for choice in allowed])
        place = (rng.random(count) * sizes[values["category"]]).astype(np.int64)
        values[name] = table[values["category"], place].astype(np.int16)
    return values


def vary(values: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Things much like the given ones: each attribute but the category is another with probability 0.4."""
    others = {name: column[rng.permutation(len(column))] for name, column in values.items()}
    changed = {name: np.where(rng.random(len(column)) < 0.4, others[name], column) for name, column in values.items()}
    return {**changed, "category": values["category"]}


def _uneven(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    shares = 1.0 / np.sqrt(np.arange(1, size + 1))
    return rng.choice(size, count, p=shares / shares.sum()).astype(np.int16)
