"""What every number stands beside: rankings that need no training, or hardly any."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfsage.data.stores import RaggedStore
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks, rank_static
from tfsage.parquet import open_parquet

_PRODUCTS = 65_536


def rank_randomly(judgements: Judgements) -> PairRanks:
    """The random ranking, in expectation: all candidates tie."""
    return rank_static(np.zeros(judgements.products), judgements)


def write_image_sums(images: RaggedStore, path: Path) -> None:
    """Writes the product vectors of the Sum baseline: the images of a product added up, then normalised.

    Args:
        images: float [dimension] vectors of each product.
        path: of a .npy file, float32 [products, dimension]; a product without images is all zeros.
    """
    shape = len(images), images.values.shape[1]
    sums = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for start in range(0, len(images), _PRODUCTS):
        rows = np.arange(start, min(start + _PRODUCTS, len(images)))
        values, lengths = images.gather(rows)
        block = np.zeros((len(rows), shape[1]))
        np.add.at(block, np.repeat(np.arange(len(rows)), lengths), values)
        sums[rows] = normalised(block)
    sums.flush()


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, d] at unit length, float32; a vector of zeros stays one."""
    vectors = np.asarray(vectors, np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def product_texts(table: Path, fields: tuple[str, ...]) -> Iterator[str]:
    """The text columns of each product of a Parquet table, joined by spaces; columns it does not have are left out."""
    file = open_parquet(table)
    columns = [field for field in fields if field in file.schema_arrow.names]
    for batch in file.iter_batches(_PRODUCTS, columns=columns):
        parts = [_strings(batch[column]) for column in columns]
        yield from (" ".join(texts) for texts in zip(*parts, strict=True)) if parts else [""] * len(batch)


def _strings(column: pa.Array) -> list[str]:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return [" ".join(word for word in words or () if word) for words in column.to_pylist()]
    return [text or "" for text in column.to_pylist()]
