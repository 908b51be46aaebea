"""Making the records of a stream: its rows joined to their entities, shuffled, and written as TFRecord shards."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfsage.console import console, progress
from tfsage.data.features import EntityFeatures
from tfsage.data.records.layout import Layout
from tfsage.data.records.record import Shape, encode, record_shape
from tfsage.data.records.shards import Shards, write_shards
from tfsage.data.records.spill import Spill
from tfsage.data.staging import make_once, staged_folder
from tfsage.errors import TfsageError

LANES = 16
"""Blocks of a shard: so many workers can read a stream without reading each other's share."""

BLOCK_BYTES = 2 << 20
"""What is read at once. Of each stream that training reads, LANES blocks are in memory."""

_MANIFEST = "manifest.json"
_ROWS_AT_ONCE = 1024
_SAMPLE_ROWS = 2048


def open_or_make(
    folder: Path, entities: Callable[[], np.ndarray], features: EntityFeatures, title: str, about: dict
) -> Shards:
    """The shards in `folder`; they are made when the folder is not there, by one process while others wait.

    Args:
        folder: its name must change with everything that goes into the records.
        entities: gives the entity of each row of the stream, int64 [rows]; called only to make the records.
        features: gathers the features that the records are joined to.
        title: the stream's name, for messages.
        about: what the manifest says of the stream.

    Raises:
        TfsageError: the disk is too small or cannot be written, or the shards there are damaged.
    """
    try:
        make_once(folder, _MANIFEST, lambda: _make(folder, entities(), features, title, about))
    except OSError as error:
        raise TfsageError(
            f"{folder.parent}: cannot be written: {error.strerror or error}; allow it, since records lie beside the "
            "prepared data, or set `training.product_features: store` in the config"
        ) from error
    return Shards(folder)


def _make(folder: Path, entities: np.ndarray, features: EntityFeatures, title: str, about: dict) -> None:
    shape = record_shape(features)
    record_bytes = _mean_bytes(entities, features, shape)
    layout = Layout.of(len(entities), LANES, round(BLOCK_BYTES / record_bytes))
    total = round(record_bytes * len(entities))
    _check_room(folder.parent, total, title)
    console.print(f"Making records of {title}: {len(entities):,} rows, {total / 1e6:,.1f} MB", soft_wrap=True)
    with (
        staged_folder(folder, _MANIFEST) as staged,
        tempfile.TemporaryDirectory(dir=staged) as scratch,
        progress() as bar,
    ):
        joining = bar.add_task(f"Joining {title}", total=len(entities), note="")
        writing = bar.add_task(f"Writing {title}", total=len(entities), note="")
        spill = Spill(Path(scratch))
        _join(entities, features, shape, layout, spill, lambda rows: bar.advance(joining, rows))
        write_shards(staged, layout, shape, spill, about, lambda rows: bar.advance(writing, rows))


def _join(
    entities: np.ndarray,
    features: EntityFeatures,
    shape: Shape,
    layout: Layout,
    spill: Spill,
    advance: Callable[[int], None],
) -> None:
    """Reads the stores once, in their own order, and hands every row to the shard that it belongs to."""
    order = np.argsort(entities, kind="stable")
    for start in range(0, len(order), _ROWS_AT_ONCE):
        rows = order[start : start + _ROWS_AT_ONCE]
        records = encode(rows, entities[rows], features(entities[rows]), shape)
        place = layout.place(rows)
        keys = place.lane * layout.block_rows + place.record
        for shard, key, record in zip(place.shard.tolist(), keys.tolist(), records, strict=True):
            spill.add(shard, key, record)
        advance(len(rows))


def _mean_bytes(entities: np.ndarray, features: EntityFeatures, shape: Shape) -> float:
    """Bytes of a record on average, by a sample of the rows."""
    rows = np.unique(np.linspace(0, len(entities) - 1, _SAMPLE_ROWS).astype(np.int64))
    parts = [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]
    sizes = [len(r) for p in parts for r in encode(p, entities[p], features(entities[p]), shape)]
    return float(np.mean(sizes))


def _check_room(folder: Path, total: int, title: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < 1.1 * total:
        raise TfsageError(
            f"{folder}: the records of {title} take {total / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free; "
            "make room, or set `training.product_features: store` in the config"
        )
