"""A sort on disk: rows come in any order and leave bucket by bucket, in memory that does not grow with them."""

from pathlib import Path

import numpy as np

_MEMORY = 64 << 20
"""Bytes of rows that are held before they are written out."""


class Spill:
    """Rows (a key and some bytes) in numbered buckets, kept in files of a folder once memory is full.

    Args:
        folder: an empty one.
        memory: bytes of rows held before they are written out.
    """

    def __init__(self, folder: Path, memory: int = _MEMORY):
        self._folder, self._memory = folder, memory
        self._held: dict[int, list[tuple[int, bytes]]] = {}
        self._bytes = 0

    def add(self, bucket: int, key: int, row: bytes) -> None:
        self._held.setdefault(bucket, []).append((key, row))
        self._bytes += len(row)
        if self._bytes >= self._memory:
            self._write()

    def take(self, bucket: int) -> list[bytes]:
        """The rows of a bucket in the order of their keys; they are gone from here afterwards."""
        rows = self._held.pop(bucket, [])
        self._bytes -= sum(len(row) for _, row in rows)
        path = self._path(bucket)
        if path.exists():
            rows += _read(path)
            path.unlink()
        return [row for _, row in sorted(rows, key=lambda pair: pair[0])]

    def _write(self) -> None:
        for bucket, rows in self._held.items():
            heads = np.array([(key, len(row)) for key, row in rows], np.int64)
            with self._path(bucket).open("ab") as file:
                for head, (_, row) in zip(heads, rows, strict=True):
                    file.write(head.tobytes())
                    file.write(row)
        self._held, self._bytes = {}, 0

    def _path(self, bucket: int) -> Path:
        return self._folder / f"bucket-{bucket:05d}"


def _read(path: Path) -> list[tuple[int, bytes]]:
    content, rows, at = path.read_bytes(), [], 0
    while at < len(content):
        key, length = np.frombuffer(content, np.int64, 2, at).tolist()
        rows.append((key, content[at + 16 : at + 16 + length]))
        at += 16 + length
    return rows
