"""Frozen embeddings of the synthetic shop, in two spaces that know nothing of each other."""

import numpy as np

from tfsage.data.synthetic.concepts import LATENT_DIMENSION

_VIEW_NOISE = 1.2
_LOOK_NOISE = 0.9
_QUERY_NOISE = 0.3


class FrozenSpaces:
    """Maps latent vectors to what a frozen encoder would have made of them.

    Images and pins share one space, a random isometry of the latent space; text queries have another, a different
    isometry followed by a nonlinearity. A dot product across the two means nothing.

    Args:
        dimension: of both spaces, at least LATENT_DIMENSION.
        seed: draws the isometries.
    """

    def __init__(self, dimension: int, seed: int):
        rng = np.random.default_rng([seed, 2])
        self.dimension = dimension
        self._image_basis = _isometry(dimension, rng)
        self._query_basis = _isometry(dimension, rng)

    def images(self, seen: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noisy views of products: float32 [sum(counts), dimension], unit length, products one after the other.

        Args:
            seen: float32 [n, LATENT_DIMENSION], the part of the latent vectors that pictures show.
            counts: int [n], images of each product.
            rng: draws what is particular to a product's look, and to each view of it.
        """
        look = seen @ self._image_basis + self._noise(len(seen), _LOOK_NOISE, rng)
        views = np.repeat(look, counts, axis=0)
        return _unit(views + self._noise(len(views), _VIEW_NOISE, rng))

    def pins(self, latent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Pin embeddings, in the space of the images: float32 [n, dimension], unit length."""
        return _unit(latent @ self._image_basis + self._noise(len(latent), _VIEW_NOISE, rng))

    def queries(self, latent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Query embeddings, in a space of their own: float32 [n, dimension], unit length."""
        turned = _unit(latent) @ self._query_basis * np.float32(np.sqrt(self.dimension))
        return _unit(np.tanh(turned) + self._noise(len(latent), _QUERY_NOISE * np.sqrt(self.dimension), rng))

    def _noise(self, count: int, norm: float, rng: np.random.Generator) -> np.ndarray:
        scale = np.float32(norm / np.sqrt(self.dimension))
        return rng.standard_normal((count, self.dimension), np.float32) * scale


def _isometry(dimension: int, rng: np.random.Generator) -> np.ndarray:
    basis, _ = np.linalg.qr(rng.normal(size=(dimension, LATENT_DIMENSION)))
    return basis.T.astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
