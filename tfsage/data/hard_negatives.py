"""Hard negatives that were mined for the pairs of some steps, as they are kept in a file."""

import os
import zipfile
from pathlib import Path

import numpy as np

from tfsage.errors import TfsageError
from tfsage.files import sync

NONE = -1
"""Stands where fewer negatives than wanted were found for a pair."""


class MinedNegatives:
    """The hard negatives of every pair of some consecutive steps; 8 bytes each.

    Args:
        first_step: the first step that has any.
        sizes: candidate tower → int64 [steps], its pairs in the whole batch of each step.
        products: candidate tower → int64 [Σ sizes, per_pair], rows of the catalog, pair by pair in the order that
            they have in their batch; `NONE` where there are too few.
        summary: what the mining found, by name, for people.
    """

    def __init__(
        self,
        first_step: int,
        sizes: dict[str, np.ndarray],
        products: dict[str, np.ndarray],
        summary: dict[str, float],
    ):
        self.first_step, self.sizes, self.products, self.summary = first_step, sizes, products, summary
        self._starts = {pool: np.concatenate([[0], np.cumsum(own)]) for pool, own in sizes.items()}

    def of_rows(self, pool: str, step: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The hard negatives of some pairs of a step.

        A step that nothing was mined for has none: batches are read ahead beyond the end of an epoch, and thrown away
        there.

        Args:
            pool: a candidate tower.
            step: whose batch it is.
            places: int64 [n], the places of the pairs among those of the pool in the whole batch.

        Returns:
            row int32 [H], each in [0, n), rising: which of the n pairs; and product int64 [H].
        """
        since = step - self.first_step
        if pool not in self.sizes or not 0 <= since < len(self.sizes[pool]):
            return np.zeros(0, np.int32), np.zeros(0, np.int64)
        products = self.products[pool][self._starts[pool][since] + places]
        row, column = np.nonzero(products != NONE)
        return row.astype(np.int32), products[row, column]

    def save(self, path: Path) -> None:
        """Writes the file; it appears when it is complete and on the disk."""
        arrays = {f"sizes/{pool}": own for pool, own in self.sizes.items()}
        arrays |= {f"products/{pool}": own for pool, own in self.products.items()}
        arrays |= {f"summary/{name}": np.float64(value) for name, value in self.summary.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.partial")
        with aside.open("wb") as file:
            np.savez(file, first_step=np.int64(self.first_step), **arrays)
        sync(aside)
        os.replace(aside, path)
        sync(path.parent)

    @classmethod
    def load(cls, path: Path) -> "MinedNegatives":
        """Reads the file.

        Raises:
            TfsageError: it is damaged.
        """
        groups = {"sizes": {}, "products": {}, "summary": {}}
        try:
            with np.load(path) as arrays:
                first_step = int(arrays["first_step"])
                for key in arrays.files:
                    group, _, name = key.partition("/")
                    if name:
                        groups[group][name] = arrays[key] if group != "summary" else float(arrays[key])
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise TfsageError(
                f"{path}: not a file of hard negatives ({error}); delete it, and those of the epoch are mined anew"
            ) from None
        return cls(first_step, **groups)
