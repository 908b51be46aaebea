"""TFRecord shards on disk, and the blocks that are read from them."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfsage.data.records.layout import Layout
from tfsage.data.records.record import Shape
from tfsage.data.records.spill import Spill
from tfsage.errors import TfsageError

_HEAD, _FOOT = 12, 4
"""Bytes of a TFRecord before its content (length, CRC of the length) and after it (CRC of the content)."""

_LENGTH = struct.Struct("<Q")


class Shards:
    """The shards of one stream, read block by block; only index files are mapped, and nothing is held.

    shard-00000-of-00012.tfrecord … · offsets.npy (int64 [shards, lanes + 1], where the blocks of a shard begin) ·
    crc32.npy (uint32 [shards, lanes], of the bytes of each block) · manifest.json

    Attributes:
        folder: where they lie.
        layout: how the rows are spread over them.
        shape: what all records have in common.

    Raises:
        TfsageError: a shard is missing or has another size than it was written with.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.layout, self.shape = Layout(*manifest["layout"]), Shape(*manifest["shape"])
        self._offsets = np.load(folder / "offsets.npy", mmap_mode="r")
        self._crc32 = np.load(folder / "crc32.npy", mmap_mode="r")
        for shard, size in enumerate(self._offsets[:, -1]):
            path = self._path(shard)
            if not path.is_file() or path.stat().st_size != size:
                raise TfsageError(f"{path}: missing, or not of the size it was written with; {self._remedy}")

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return int(self._offsets[:, -1].sum())

    def block(self, shard: int, lane: int) -> tuple[bytes, list[int]]:
        """The bytes of a block, and where each of its records begins in them.

        Raises:
            TfsageError: it cannot be read, or its bytes differ from what was written.
        """
        start, end = self._offsets[shard, lane : lane + 2].tolist()
        path = self._path(shard)
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                content = file.read(end - start)
        except FileNotFoundError:
            raise TfsageError(f"{path}: the file is gone; {self._remedy}") from None
        if zlib.crc32(content) != self._crc32[shard, lane]:
            raise TfsageError(f"{path}: bytes {start} to {end} were changed or damaged (CRC differs); {self._remedy}")
        return content, _starts(content)[0]

    @property
    def _remedy(self) -> str:
        return f"delete {self.folder}, and the next training makes it again"

    def _path(self, shard: int) -> Path:
        return self.folder / _name(shard, self.layout.shards)


def write_shards(
    folder: Path, layout: Layout, shape: Shape, spill: Spill, manifest: dict, advance: Callable[[int], None]
) -> None:
    """Writes the shards of a stream and reads each back to see that it holds what it should.

    Args:
        folder: an empty one, which then holds what `Shards` reads.
        layout: where the rows lie.
        shape: what the records have in common.
        spill: bucket s has the records of shard s under keys that rise with lane, then with the place in the block.
        manifest: what to say of the stream besides.
        advance: told the number of records after each shard.
    """
    offsets = np.zeros((layout.shards, layout.lanes + 1), np.int64)
    crc32 = np.zeros((layout.shards, layout.lanes), np.uint32)
    for shard in range(layout.shards):
        records = spill.take(shard)
        path = folder / _name(shard, layout.shards)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
        content = path.read_bytes()
        starts, lengths = _starts(content)
        if [content[at : at + length] for at, length in zip(starts, lengths, strict=True)] != records:
            raise OSError(f"{path}: reads back other than it was written")
        ends = np.cumsum([0] + [_HEAD + len(record) + _FOOT for record in records])
        offsets[shard] = ends[_first_records(layout, shard)]
        crc32[shard] = [zlib.crc32(content[a:b]) for a, b in zip(offsets[shard], offsets[shard, 1:], strict=False)]
        advance(len(records))
    np.save(folder / "offsets.npy", offsets)
    np.save(folder / "crc32.npy", crc32)
    described = {"layout": layout, "shape": shape, "bytes": int(offsets[:, -1].sum()), **manifest}
    (folder / "manifest.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def _first_records(layout: Layout, shard: int) -> np.ndarray:
    """Where each block of a shard begins, and where the last ends, counted in records: int64 [lanes + 1]."""
    rows = np.full(layout.lanes, layout.block_rows)
    if shard == layout.shards - 1:
        rows = layout.rows_of_last(np.arange(layout.lanes))
    return np.concatenate([[0], np.cumsum(rows)])


def _starts(content: bytes) -> tuple[list[int], list[int]]:
    """Where the contents of TFRecords begin, and how long they are."""
    starts, lengths, at = [], [], 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        starts.append(at + _HEAD)
        lengths.append(length)
        at += _HEAD + length + _FOOT
    return starts, lengths


def _name(shard: int, shards: int) -> str:
    return f"shard-{shard:05d}-of-{shards:05d}.tfrecord"
