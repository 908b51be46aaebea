"""Why a product is where it is: the training queries nearest to it."""

import threading
from collections.abc import Sequence

import numpy as np
from rich.text import Text

from tfsage.console import console
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.serving.client import QueryClient

MOST_QUERIES = 5000
_BATCH = 64


def training_queries(data: PreparedData) -> list[str]:
    """Up to `MOST_QUERIES` texts of queries that were not held out from training, spread over all of them."""
    texts = data.queries("query").texts if "query" in data.manifest["queries"] else None
    if texts is None:
        return []
    rows = np.setdiff1d(np.arange(len(texts)), data.held_out_queries("query"))
    if len(rows) > MOST_QUERIES:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_QUERIES).astype(np.int64)]
    return texts.gather(rows)


class Explainer:
    """Knows the vectors of training queries; they are computed in the background, and until then explain nothing.

    Args:
        queries: their texts.
        client: embeds them.
    """

    def __init__(self, queries: Sequence[str], client: QueryClient):
        self._queries, self._client = list(queries), client
        self._vectors: np.ndarray | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._embed, name="explain", daemon=True)
        self._thread.start()

    def nearest(self, vectors: np.ndarray, k: int = 3) -> list[list[tuple[str, float]]]:
        """For each product, float32 [n, dimension], the texts of its nearest training queries and the cosines."""
        if self._vectors is None:
            return [[] for _ in vectors]
        scores = vectors @ self._vectors.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return [
            [(self._queries[place], float(row[place])) for place in places]
            for row, places in zip(scores, best, strict=True)
        ]

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _embed(self) -> None:
        parts = []
        try:
            for start in range(0, len(self._queries), _BATCH):
                if self._closed.is_set():
                    return
                parts.append(self._client.predict(self._queries[start : start + _BATCH]))
        except TfsageError as error:
            console.print(Text(f"hits are not explained by training queries: {error}"), soft_wrap=True)
            return
        if parts:
            self._vectors = np.concatenate(parts)
