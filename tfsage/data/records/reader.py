"""Features of products from pre-joined records, read in sequence."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tfsage.config import TaskConfig
from tfsage.data.features import ProductFeatures
from tfsage.data.fingerprint import fingerprint
from tfsage.data.prepared import PreparedData
from tfsage.data.readers import Rows
from tfsage.data.records import make
from tfsage.data.records.layout import Visits
from tfsage.data.records.record import Records, decode_features, decode_ids, record_shape
from tfsage.data.records.shards import Shards
from tfsage.data.sources import PairSource
from tfsage.errors import TfsageError
from tfsage.files import list_files

FORMAT = 1


class RecordStream(Visits):
    """The rows of a stream in the order of training, and their records. One block of every lane is held.

    Args:
        shards: where the records lie.
        seed: chooses the orders.

    Attributes:
        folder: of the shards.
    """

    def __init__(self, shards: Shards, seed: int):
        super().__init__(shards.layout, seed)
        self.folder = shards.folder
        self._shards = shards
        self._open: dict[int, tuple[int, bytes, list[int]]] = {}

    def next(self, taken: int, count: int) -> Rows:
        place = self.place(self.positions(taken, count))
        return Rows(self, self._shards.layout.row(place), np.stack(place, axis=1))

    def records(self, rows: Rows, products: np.ndarray) -> Records:
        """The records of some rows, whose products are known.

        Raises:
            TfsageError: a shard is damaged, or the records there are of other rows or products.
        """
        records = Records([], [])
        for shard, lane, record in rows.place.tolist():
            held = self._open.get(lane)
            if held is None or held[0] != shard:
                held = self._open[lane] = shard, *self._shards.block(shard, lane)
            records.blocks.append(held[1])
            records.starts.append(held[2][record])
        found = decode_ids(records)
        if not np.array_equal(found, np.stack([rows.row, products], axis=1)):
            raise TfsageError(
                f"{self.folder}: the records are not those of the prepared data; "
                "delete the folder, and the next training makes it again"
            )
        return records


class RecordReader:
    """Features from records, which are made when they are not there.

    A task's pairs have shards of their own, joined to what its candidate tower reads; the catalog has shards for every
    candidate tower, from which the random negatives come, and the tasks whose pairs are the catalog's titles. Raw
    queries (texts, embeddings, the image that stands for a product) and the features of mined negatives are few, and
    are gathered from the stores.

    Args:
        data: the prepared folder; the records lie in its folder `records`.
        features: the gatherer of every pool.
    """

    def __init__(self, data: PreparedData, features: dict[str, ProductFeatures]):
        self._data, self._features = data, features
        stores = [f"stores/product/{name}" for name in list_files(data.folder / "stores" / "product")]
        tables = [path.name for path in data.folder.glob("*.parquet")]
        self._fingerprint = fingerprint(data.folder, ["manifest.json", *tables, *stores])
        self._opened: dict[Path, Shards] = {}

    def pairs(self, task: TaskConfig, source: PairSource, seed: int) -> RecordStream:
        if task.source == "catalog_text":
            return self.catalog(task.candidate_tower, seed)
        about = {"source": task.source, "held_out_images": task.held_out_images}
        if task.source == "engagements":
            about |= {"surface": task.surface, "query_type": task.query_type, "actions": sorted(task.actions)}
        shards = self._shards(
            f"pairs of {task.name}", task.candidate_tower, about, lambda: source.products(np.arange(source.size))
        )
        return RecordStream(shards, seed)

    def catalog(self, pool: str, seed: int) -> RecordStream:
        products = partial(np.arange, self._data.product_count)
        return RecordStream(self._shards("the catalog", pool, {"source": "catalog"}, products), seed)

    def features(
        self, pool: str, rows: list[Rows], products: np.ndarray, hide_images: np.ndarray, hide_text: np.ndarray
    ) -> dict[str, np.ndarray]:
        gather, records, count = self._features[pool], Records([], []), 0
        for part in rows:
            first, count = count, count + len(part.row)
            if first < count:
                records += part.stream.records(part, products[first:count])
        found = decode_features(records, record_shape(gather), hide_images[:count], hide_text[:count])
        if count == len(products):
            return found
        others = gather(products[count:], hide_images[count:], hide_text[count:])
        return {name: np.concatenate([value, others[name]]) for name, value in found.items()}

    def _shards(self, what: str, pool: str, about: dict, products: Callable[[], np.ndarray]) -> Shards:
        """The shards of a stream for a candidate tower, opened once."""
        gather = self._features[pool]
        about = {
            **about,
            "format": FORMAT,
            "text_fields": gather.text_fields,
            "images": [gather.image_column, gather.slots, gather.image_dimension],
            "lanes": make.LANES,
            "block_bytes": make.BLOCK_BYTES,
        }
        about |= {"data": self._fingerprint}
        folder = self._data.folder / "records" / _name(about)
        if folder not in self._opened:
            self._opened[folder] = make.open_or_make(folder, products, gather, f"{what} for tower {pool}", about)
        return self._opened[folder]


def _name(about: dict) -> str:
    return f"{about['source']}-{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]}"
