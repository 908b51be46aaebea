"""Pages of results: a cursor says what was shown, so that the next page neither repeats nor leaves out anything."""

import base64
import hashlib
import json
from typing import NamedTuple

import numpy as np

from tfsage.retrieval.problems import Problem

MOST_SHOWN = 1000
"""How far one can page."""

NEW = 1 << 63
"""Set in what stands for a product that the bundle does not hold; anything below is a row of its index."""


class Cursor(NamedTuple):
    """Where the next page goes on.

    bundle: the folder that the rows belong to.
    request: digest of the request, which must be the same on every page.
    shown: the products of the pages before, uint64, see `Products.marks`.
    """

    bundle: str
    request: str
    shown: np.ndarray

    def encode(self) -> str:
        packed = self.shown.astype("<u8").tobytes()
        parts = [self.bundle, self.request, base64.b64encode(packed).decode()]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def digest(request: dict) -> str:
    """What identifies a request across its pages: everything in it but `cursor` and `k`."""
    kept = {name: value for name, value in request.items() if name not in ("cursor", "k")}
    return hashlib.blake2b(json.dumps(kept, sort_keys=True).encode(), digest_size=12).hexdigest()


def resume(text: str, bundle: str, request: str, count: int) -> np.ndarray:
    """What earlier pages have shown, uint64, see `Products.marks`.

    Args:
        text: the cursor of the page before.
        bundle: the folder that answers now.
        request: digest of this request.
        count: rows of its index.

    Raises:
        Problem: not a cursor, or one of another request (400); the bundle was replaced meanwhile (410); too far (400).
    """
    try:
        name, of, packed = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
        shown = np.frombuffer(base64.b64decode(packed), "<u8").astype(np.uint64)
    except (ValueError, TypeError, RecursionError):
        raise Problem(400, "cursor: not one that this service gave; leave it out for the first page") from None
    if of != request:
        raise Problem(400, "cursor: belongs to another request; only k may change between pages")
    if name != bundle:
        raise Problem(410, f"cursor: bundle {name} was replaced by {bundle}; start again without a cursor")
    if len(shown) >= MOST_SHOWN:
        raise Problem(400, f"cursor: at most {MOST_SHOWN} results can be paged through; narrow the search down")
    if (shown[shown < NEW] >= count).any():
        raise Problem(400, "cursor: not one that this service gave; leave it out for the first page")
    return shown
