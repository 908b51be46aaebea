"""Columns and batches of the synthetic shop's tables, and the random numbers of each of its parts."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

_BATCH = 2048
_STREAMS = (
    "products", "product_text", "images", "pins", "pin_vectors", "queries", "query_vectors", "boards", "popularity",
    "closeup", "closeup_interest", "search", "search_interest", "pin_text", "product_captions", "pin_captions",
    "board_days", "more_boards", "translations", "translation_vectors", "translated", "translated_interest",
    "offsite", "offsite_interest", "pin_popularity", "found_pins", "found_pins_interest",
    "query_popularity", "related_en", "related_en_interest", "related_es", "related_es_interest",
    "related_de", "related_de_interest",
)  # fmt: skip

Batches = Iterator[dict[str, pa.Array | list]]


class Streams:
    """Random numbers by part and batch: asking for more of one thing leaves the others as they are.

    Args:
        seed: of the shop.
    """

    def __init__(self, seed: int):
        self._seed = seed

    def __call__(self, part: str, batch: int = 0) -> np.random.Generator:
        """The generator of a part; a new part goes to the end of the list, since the place in it is what seeds."""
        return np.random.default_rng([self._seed, _STREAMS.index(part) + 10, batch])


def batches(values: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Rows (int64 [b]) and their attributes, batch by batch."""
    count = len(values["category"])
    for start in range(0, count, _BATCH):
        rows = np.arange(start, min(start + _BATCH, count))
        yield rows, take(values, rows)


def take(values: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in values.items()}


def ids(letters: str, rows: np.ndarray) -> pa.Array:
    return pa.array([f"{letters}{row}" for row in rows.tolist()], pa.string())


def vectors(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), values.shape[1])
