"""Which candidates of a batch are positives of which of its queries, by the whole training log."""

import numpy as np


class KnownPositives:
    """All positives of every query, over all tasks.

    An entity that a query has engaged with elsewhere in the log is no negative of it, whether it came into the batch
    with another query or as a random negative.

    Args:
        query_id: int64 [n], as in a batch, rising.
        product: int64 [n], rows of the catalog, rising for each query; no pair occurs twice.
    """

    def __init__(self, query_id: np.ndarray, product: np.ndarray):
        self._query, self._product = query_id, product

    def find(self, query_id: np.ndarray, positive: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """The other known positives of each row's query that are among the candidates.

        Args:
            query_id: int64 [B], the queries of the rows.
            positive: int64 [B], the product each row is about, which is not reported.
            candidates: int64 [n], the products of the columns.

        Returns:
            int64 [m, 2]: (row, product), in the order of rows.
        """
        first, last = (np.searchsorted(self._query, query_id, side) for side in ("left", "right"))
        row, place = _expand(first, last)
        product = self._product[place]
        other = (product != positive[row]) & np.isin(product, candidates)
        return np.stack([row[other], product[other]], axis=1)


def _expand(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All integers of the ranges [first_i, last_i), with i beside each."""
    lengths = last - first
    owner = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, first[owner] + within
