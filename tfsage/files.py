"""Files that are either whole or absent, and that can be proved unchanged."""

import hashlib
import os
from pathlib import Path

from tfsage.errors import TfsageError


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal; read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_files(folder: Path) -> list[str]:
    """Every file below `folder`, as sorted paths relative to it, with forward slashes."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def checksums(folder: Path, names: list[str] | None = None) -> dict[str, str]:
    """The SHA-256 of the named files (every file by default) below `folder`, by relative path."""
    return {name: sha256(folder / name) for name in (list_files(folder) if names is None else names)}


def verify_checksums(folder: Path, expected: dict[str, str], remedy: str) -> None:
    """Checks that the files in `expected` are in `folder`, unchanged.

    Raises:
        TfsageError: a file is missing or its bytes differ; the message ends with `remedy`.
    """
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            raise TfsageError(f"{path}: the file is missing; {remedy}")
        if sha256(path) != digest:
            raise TfsageError(f"{path}: the file was changed or damaged (its SHA-256 differs); {remedy}")


def write_text(path: Path, text: str) -> None:
    """Writes a text file aside and renames it, so that a reader sees the old content or the new, never a part."""
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def sync(path: Path) -> None:
    """Forces a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Forces every file and folder below `folder`, and `folder` itself, to the disk."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)
