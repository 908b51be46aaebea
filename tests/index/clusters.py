"""Vectors with neighbourhoods, as embeddings of a catalog have them; uniform ones would have no near neighbours."""

import numpy as np


def clustered(rows: int, dimension: int = 32, clusters: int = 60, seed: int = 0) -> np.ndarray:
    """float32 [rows, dimension], unit, around cluster centres."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(clusters, dimension))
    vectors = centres[random.integers(0, clusters, rows)] + 0.6 * random.normal(size=(rows, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def perturbed(vectors: np.ndarray, count: int, noise: float = 0.1, seed: int = 1) -> np.ndarray:
    """float32 [count, dimension], unit: some of the vectors, moved a little."""
    random = np.random.default_rng(seed)
    chosen = vectors[random.integers(0, len(vectors), count)]
    moved = chosen + noise * random.normal(size=chosen.shape)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
