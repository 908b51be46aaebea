"""The products that can be answered at one moment: those of the bundle, and those added since it was published."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfsage.evaluation.bm25 import BM25
from tfsage.retrieval.added import Added
from tfsage.retrieval.catalog import Catalog, Images
from tfsage.retrieval.hybrid import FusedHit, fused
from tfsage.retrieval.pages import NEW
from tfsage.retrieval.problems import Problem
from tfsage.retrieval.searcher import Searcher


class Published(NamedTuple):
    """The products of a bundle, by row of its index. images, bm25: where the service has them."""

    catalog: Catalog
    searcher: Searcher
    images: Images | None
    bm25: BM25 | None


class Card(NamedTuple):
    """What is shown of a product. added: not as the bundle has it, but as it was added since."""

    product_id: str | int
    title: str
    has_picture: bool
    added: bool


class Products:
    """One row per product: that of the bundle's index, and after those, one for every product that it does not hold.

    A product that the bundle holds and that was added keeps its row, and whatever was added takes the place of what the
    bundle says of it. Nothing changes in here: a request sees one state of the files from its beginning to its end.

    Args:
        published: the bundle's products.
        added: those that came since.
        withdrawn: ids of products that must not be answered; they win over those that were added.

    Attributes:
        count: number of rows.
        added_count: how many of them are as they were added.
        left: bool [count], False for what was withdrawn; None where nothing was.
    """

    def __init__(self, published: Published, added: Added | None = None, withdrawn: tuple[str, ...] = ()):
        self._published, self.added, self.withdrawn = published, added, withdrawn
        self._rows, self._unchanged = np.zeros(0, np.int64), None
        self.count = len(published.catalog)
        if added is not None:
            self._place_added(added)
        self.added_count = len(self._rows)
        self._place = {row: place for place, row in enumerate(self._rows.tolist())}
        new = [row for row in self._rows.tolist() if row >= len(published.catalog)]
        self._new_row = {self._mark(row): row for row in new}
        self.left = None
        if gone := [row for row in map(self.find, withdrawn) if row is not None]:
            self.left = np.ones(self.count, bool)
            self.left[gone] = False

    def _place_added(self, added: Added) -> None:
        found = [self._published.catalog.find(product_id) for product_id in added.catalog]
        self._rows = np.array([-1 if row is None else row for row in found], np.int64)
        new = self._rows < 0
        if not new.all():
            self._unchanged = np.ones(self.count, bool)
            self._unchanged[self._rows[~new]] = False
        self._rows[new] = self.count + np.arange(new.sum())
        self.count += int(new.sum())

    def find(self, product_id: str | int) -> int | None:
        """The row of a product, or None; see `Catalog.find`."""
        row = self._published.catalog.find(product_id)
        if row is None and self.added is not None:
            place = self.added.catalog.find(product_id)
            row = None if place is None else int(self._rows[place])
        return row

    def row(self, product_id: str | int) -> int:
        """The row of a product.

        Raises:
            Problem: there is none (404).
        """
        row = self.find(product_id)
        if row is None:
            raise Problem(404, f"no product {product_id!r} in this bundle")
        return row

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The embeddings of rows, float32 [rows, dimension]."""
        places = np.array([self._place.get(row, -1) for row in rows.tolist()], np.int64)
        vectors = self._published.searcher.vectors
        found = np.empty((len(rows), vectors.shape[1]), np.float32)
        found[places < 0] = vectors[rows[places < 0]]
        if (places >= 0).any():
            found[places >= 0] = self.added.vectors[places[places >= 0]]
        return found

    def cards(self, rows: np.ndarray) -> list[Card]:
        """What is shown of each row."""
        cards = []
        for row in rows.tolist():
            place = self._place.get(row)
            catalog, at = (self._published.catalog, row) if place is None else (self.added.catalog, place)
            product_id, title = catalog.describe(at)
            has_picture = any(product_id in images for images in self._images())
            cards.append(Card(product_id, title, has_picture, place is not None))
        return cards

    def picture(self, product_id: str | int) -> tuple[bytes, str] | None:
        """The bytes and media type of a product's picture, or None where there is none that a browser shows."""
        return next((images.get(product_id) for images in self._images() if product_id in images), None)

    def allowed(self, filters: Mapping[str, "list[str] | tuple[float, float]"]) -> np.ndarray:
        """Which products pass, bool [count]; see `Attributes.allowed`."""
        allowed = np.zeros(self.count, bool)
        allowed[: len(self._published.catalog)] = self._published.catalog.attributes.allowed(filters)
        if self.added is not None:
            try:
                allowed[self._rows] = self.added.catalog.attributes.allowed(filters)
            except Problem:
                # The products table was replaced by one without that column: what has no value passes no filter.
                allowed[self._rows] = False
        return allowed

    def nearest(
        self, query: np.ndarray, k: int, allowed: np.ndarray | None = None, excluded: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, str]:
        """The nearest products that are allowed, as `Searcher.nearest`; those that were added are all scored."""
        if self.added is None:
            return self._published.searcher.nearest(query, k, allowed, excluded)
        known = len(self._published.catalog)
        excluded = np.asarray([] if excluded is None else excluded, np.int64)
        still = self._unchanged
        if allowed is not None:
            still = allowed[:known] if still is None else allowed[:known] & still
        rows, scores, way = self._published.searcher.nearest(query, k, still, excluded[excluded < known])
        theirs = self.added.vectors @ query
        if allowed is not None:
            theirs[~allowed[self._rows]] = -np.inf
        theirs[np.isin(self._rows, excluded)] = -np.inf
        places = _best(theirs, k)
        rows = np.concatenate([rows, self._rows[places]])
        scores = np.concatenate([scores, theirs[places]])
        best = np.argsort(-scores, kind="stable")[:k]
        return rows[best], scores[best], way

    def fused(
        self,
        text: str,
        query: np.ndarray,
        k: int,
        allowed: np.ndarray | None,
        excluded: np.ndarray,
        shown: np.ndarray,
    ) -> list[FusedHit]:
        """The best products by vector and by words at once; see `tfsage.retrieval.hybrid.fused`."""
        (by_words,) = self._published.bm25.rows([text])
        if self.added is not None:
            by_words = np.concatenate([by_words, np.zeros(self.count - len(by_words), by_words.dtype)])
            by_words[self._rows] = self.added.words.scores(text)
        return fused(self.nearest, query, by_words, k, allowed, excluded, shown)

    def marks(self, rows: np.ndarray) -> np.ndarray:
        """What stands for rows in a cursor, uint64: of a product that the bundle does not hold, a digest of its id,
        because its row is another when the file of added products has changed."""
        return np.array([self._mark(row) for row in rows.tolist()], np.uint64)

    def marked(self, marks: np.ndarray) -> np.ndarray:
        """The rows, int64, of what is still there of `marks`."""
        rows = [self._new_row.get(mark) if mark >= NEW else mark for mark in marks.tolist()]
        return np.array([row for row in rows if row is not None], np.int64)

    def _mark(self, row: int) -> int:
        if row < len(self._published.catalog):
            return row
        product_id, _ = self.added.catalog.describe(self._place[row])
        return NEW | int.from_bytes(hashlib.blake2b(str(product_id).encode(), digest_size=8).digest(), "big")

    def _images(self) -> list[Images]:
        """The pictures of what was added come first: they are the later ones."""
        found = [self._published.images] if self.added is None else [self.added.images, self._published.images]
        return [images for images in found if images is not None]


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Places of the k highest scores above -inf, the first of those that tie first."""
    places = np.flatnonzero(scores > -np.inf)
    if k < len(places):
        # All that reach the k-th score, so that which of several tied ones is left does not depend on chance.
        places = places[scores[places] >= np.partition(scores[places], -k)[-k]]
    return places[np.argsort(-scores[places], kind="stable")][:k]
