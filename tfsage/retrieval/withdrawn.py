"""Products that were taken out of the catalog after the bundle was published, and must not be answered any more."""

from pathlib import Path

from tfsage.errors import TfsageError
from tfsage.retrieval.watched import Watched


def watch_withdrawn(path: Path) -> Watched[tuple[str, ...]]:
    """The ids in a text file, one a line, as it is now; those that nobody knows do no harm.

    No request is answered by an earlier list once the file has changed, and no product comes back because the file
    cannot be read any more.

    Raises:
        TfsageError: the file cannot be read, or is not UTF-8.
    """
    return Watched([path], lambda: _read(path), "withdrawn products", patient=True)


def _read(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TfsageError(f"{path}: cannot be read as product ids, one a line, in UTF-8 ({error})") from None
    return tuple(line.strip() for line in lines if line.strip())
