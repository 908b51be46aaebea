"""Features of candidates from pre-joined records, read in sequence."""

import hashlib
import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tfsage.config import TaskConfig
from tfsage.data.features import EntityFeatures, Features
from tfsage.data.fingerprint import fingerprint
from tfsage.data.prepared import PreparedData
from tfsage.data.readers import Rows, Shuffle, Stream
from tfsage.data.records import make
from tfsage.data.records.layout import Visits
from tfsage.data.records.record import Records, decode_features, decode_ids, record_shape
from tfsage.data.records.shards import Shards
from tfsage.data.sources import PairSource
from tfsage.errors import TfsageError
from tfsage.files import list_files

FORMAT = 2


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

    def records(self, rows: Rows, candidates: np.ndarray) -> Records:
        """The records of some rows, whose candidates are known.

        Raises:
            TfsageError: a shard is damaged, or the records there are of other rows or candidates.
        """
        records = Records([], [])
        for shard, lane, record in rows.place.tolist():
            held = self._open.get(lane)
            if held is None or held[0] != shard:
                held = self._open[lane] = shard, *self._shards.block(shard, lane)
            records.blocks.append(held[1])
            records.starts.append(held[2][record])
        found = decode_ids(records)
        if not np.array_equal(found, np.stack([rows.row, candidates], axis=1)):
            raise TfsageError(
                f"{self.folder}: the records are not those of the prepared data; "
                "delete the folder, and the next training makes it again"
            )
        return records


class RecordReader:
    """Features from records, which are made when they are not there.

    A task's pairs have shards of their own, joined to what its candidate tower reads; the catalog has shards for every
    pool of products or pins, from which the random negatives come, and the tasks whose pairs are the catalog's titles.
    Raw queries (texts, embeddings, the image that stands for a product), as queries and as candidates, the candidates
    of tasks that share the pairs of another one, and mined negatives are few or small, and are gathered from the
    stores.

    Args:
        data: the prepared folder; the records lie in its folder `records`.
        features: the gatherer of every pool.
    """

    def __init__(self, data: PreparedData, features: dict[str, Features]):
        self._data, self._features = data, features
        self._recorded = {pool for pool, gather in features.items() if _has_records(gather)}
        kinds = sorted({features[pool].entity_type for pool in self._recorded})
        stores = [f"stores/{kind}/{name}" for kind in kinds for name in list_files(data.folder / "stores" / kind)]
        tables = [path.name for path in data.folder.glob("*.parquet")]
        self._fingerprint = fingerprint(data.folder, ["manifest.json", *tables, *stores])
        self._opened: dict[Path, Shards] = {}

    def pairs(self, task: TaskConfig, source: PairSource, seed: int) -> Stream:
        if task.pool not in self._recorded:
            return Shuffle(source.size, seed)
        if task.source == "catalog_text":
            return self.catalog(task.pool, seed)
        about = {"source": task.source, "held_out_images": task.held_out_images}
        if task.source == "engagements":
            about |= {"surface": task.surface, "query_type": task.query_type, "actions": sorted(task.actions)}
        candidates = partial(source.candidates, np.arange(source.size))
        return RecordStream(self._shards(f"pairs of {task.name}", task.pool, about, candidates), seed)

    def catalog(self, pool: str, seed: int) -> Stream:
        count = self._features[pool].count
        if pool not in self._recorded:
            return Shuffle(count, seed)
        return RecordStream(self._shards("the catalog", pool, {"source": "catalog"}, partial(np.arange, count)), seed)

    def features(
        self, pool: str, rows: list[Rows], candidates: np.ndarray, hide_images: np.ndarray, hide_text: np.ndarray
    ) -> dict[str, np.ndarray]:
        gather, found, first = self._features[pool], [], 0
        for recorded, parts in itertools.groupby(rows, lambda part: isinstance(part.stream, RecordStream)):
            records, begin = Records([], []), first
            for part in parts:
                last = first + len(part.row)
                if recorded and first < last:
                    records += part.stream.records(part, candidates[first:last])
                first = last
            images, text = hide_images[begin:first], hide_text[begin:first]
            if recorded:
                found.append(decode_features(records, record_shape(gather), images, text))
            else:
                found.append(gather(candidates[begin:first], images, text))
        if first < len(candidates):
            found.append(gather(candidates[first:], hide_images[first:], hide_text[first:]))
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def _shards(self, what: str, pool: str, about: dict, candidates: Callable[[], np.ndarray]) -> Shards:
        """The shards of a stream for a pool, opened once."""
        gather = self._features[pool]
        about = {
            **about,
            "format": FORMAT,
            "entity_type": gather.entity_type,
            "text_fields": gather.text_fields,
            "images": [gather.image_column, gather.slots, gather.image_dimension],
            "embeddings": [[each.column, each.dimension] for each in gather.embeddings],
            "lanes": make.LANES,
            "block_bytes": make.BLOCK_BYTES,
        }
        about |= {"data": self._fingerprint}
        folder = self._data.folder / "records" / _name(about)
        if folder not in self._opened:
            self._opened[folder] = make.open_or_make(folder, candidates, gather, f"{what} for tower {pool}", about)
        return self._opened[folder]


def _name(about: dict) -> str:
    return f"{about['source']}-{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]}"


def _has_records(features: Features) -> bool:
    """Queries are small, and records hold no graph neighbours: both are read from the stores."""
    return isinstance(features, EntityFeatures) and features.neighbours is None
