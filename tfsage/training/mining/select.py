"""Which of the products that a search found for a pair become its hard negatives; pure functions over arrays."""

import numpy as np

from tfsage.data.hard_negatives import NONE
from tfsage.data.permutation import mix64


def eligible(
    product: np.ndarray,
    similarity: np.ndarray,
    positive: np.ndarray,
    positive_similarity: np.ndarray,
    known: np.ndarray,
    margin: float,
) -> np.ndarray:
    """Which products may be hard negatives.

    A product that is about as similar to the query as its positive, or more, is likely a positive that nobody has
    engaged with yet. NV-Retriever (Moreira et al., 2024, arXiv:2407.15831, "TopK-PercPos") keeps similarities s up to
    a share of the positive's, s ≤ margin · s⁺; once s⁺ is negative, that lets products pass that are more similar than
    the positive. Here the distance from the positive is a share of its magnitude:

        s ≤ s⁺ − (1 − margin) |s⁺|

    the same for s⁺ ≥ 0, and never above s⁺.

    With margin 0.95, s⁺ = 0.8 allows similarities up to 0.76, and s⁺ = −0.4 up to −0.42:

    >>> similarity = np.array([[0.77, 0.75], [-0.41, -0.43]])
    >>> ids, positive, none = np.array([[3, 4], [3, 4]]), np.array([8, 9]), np.zeros([0, 2], int)
    >>> eligible(ids, similarity, positive, np.array([0.8, -0.4]), none, margin=0.95)
    array([[False,  True],
           [False,  True]])

    Args:
        product: int64 [n, k], the ranks of the window, -1 where the catalog has fewer.
        similarity: floating [n, k].
        positive: int64 [n], the product of the pair.
        positive_similarity: floating [n].
        known: int64 [m, 2], pairs of (row, product) that are no negatives.
        margin: in [0, 1].

    Returns:
        bool [n, k].
    """
    limit = positive_similarity - (1.0 - margin) * np.abs(positive_similarity)
    allowed = (product >= 0) & (product != positive[:, None]) & (similarity <= limit[:, None])
    size = max(product.max(initial=0), known.max(initial=0)) + 1
    row = np.arange(len(product))[:, None]
    return allowed & ~np.isin(row * size + product, known[:, 0] * size + known[:, 1])


def draw(product: np.ndarray, allowed: np.ndarray, count: int, keys: np.ndarray) -> np.ndarray:
    """Draws some of the allowed products of each row, each as likely as any other, without replacement.

    The draw depends on the key and on which products are allowed, not on their order, so that ties do not matter.

    Args:
        product: int64 [n, k], distinct in each row.
        allowed: bool [n, k].
        count: how many of a row.
        keys: uint64 [n], random.

    Returns:
        int64 [n, count] places in [0, k), and -1 at the end of a row that has too few.
    """
    lots = mix64(keys[:, None] ^ product.astype(np.uint64)) >> np.uint64(1)
    lots[~allowed] = np.iinfo(np.uint64).max
    order = np.argsort(lots, axis=1, kind="stable")[:, :count]
    places = np.full((len(product), count), NONE, np.int64)
    places[:, : order.shape[1]] = np.where(np.take_along_axis(allowed, order, axis=1), order, NONE)
    return places
