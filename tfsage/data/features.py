"""Features of candidates as the towers take them, gathered from the memory-mapped stores of a prepared folder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tfsage.config import EmbeddingConfig, FrozenTowerConfig, NeighbourConfig
from tfsage.data.prepared import PreparedData
from tfsage.data.stores import RaggedStore

_BLOCK = 65_536


class Features(Protocol):
    """Gathers the features of any rows of a catalog; memory grows with the rows asked for, not with the catalog.

    Attributes:
        count: rows of the catalog.
        store_bytes: bytes of the stores that the features are gathered from, by name.
        absent: the columns asked for that the table does not have: nothing, or zeros, stands for them.
        missing: share of the entities for which nothing, or zeros, stands for a column asked for, by its name; 1 for
            what is absent. A text without any known token is missing.
    """

    count: int
    store_bytes: dict[str, int]
    absent: list[str]
    missing: dict[str, float]

    def __call__(self, rows: np.ndarray, hide_images=None, hide_text=None) -> dict[str, np.ndarray]:
        """Features of the entities at `rows` (int64 [n]), without a group where its `hide` mask (bool [n]) is true."""


class EntityFeatures:
    """Features of products or pins.

    Args:
        data: the prepared folder.
        text_fields: the text columns that the tower reads, in its order; those that the table does not have are empty.
        image_column: the embedding column whose rows fill the image slots, or None.
        slots: how many images of an entity are kept.
        image_dimension: entries of an image's vector; entities of tables without the column have no image.
        embeddings: further embedding columns; zeros for tables without the column.
        entity_type: product or pin.
        neighbours: the embedding column whose rows fill the slots of graph neighbours, or None.
    """

    def __init__(
        self,
        data: PreparedData,
        text_fields: tuple[str, ...] = (),
        image_column: str | None = None,
        slots: int = 20,
        image_dimension: int = 256,
        embeddings: Sequence[EmbeddingConfig] = (),
        entity_type: str = "product",
        neighbours: NeighbourConfig | None = None,
    ):
        entity = data.entity(entity_type)
        self.entity_type, self.count = entity_type, entity.count
        self.text_fields = tuple(text_fields)
        self.image_column, self.slots, self.image_dimension = image_column, slots, image_dimension
        self.embeddings, self.neighbours = tuple(embeddings), neighbours
        self._tokens = entity.tokens if self.text_fields else None
        self._stored_fields = len(entity.text_fields)
        places = {field: place for place, field in enumerate(entity.text_fields)}
        self._fields = np.array([places.get(field, -1) for field in text_fields], np.int64)
        stored = entity.embedding_columns
        self._images = entity.vectors(image_column) if image_column in stored else None
        self._neighbours = None if neighbours is None else entity.vectors(neighbours.column)
        self._vectors = [entity.vectors(each.column) if each.column in stored else None for each in embeddings]

    @property
    def absent(self) -> list[str]:
        columns = [self.image_column] if self.image_column is not None and self._images is None else []
        columns += [each.column for each, store in zip(self.embeddings, self._vectors, strict=True) if store is None]
        return [field for field, place in zip(self.text_fields, self._fields, strict=True) if place < 0] + columns

    @property
    def missing(self) -> dict[str, float]:
        stores = {each.column: store for each, store in zip(self.embeddings, self._vectors, strict=True)}
        if self.image_column is not None:
            stores[self.image_column] = self._images
        if self.neighbours is not None:
            stores[self.neighbours.column] = self._neighbours
        stored = shares_without(self._tokens, self._stored_fields) if (self._fields >= 0).any() else []
        fields = zip(self.text_fields, self._fields, strict=True)
        shares = {field: 1.0 if place < 0 else float(stored[place]) for field, place in fields}
        return shares | {
            column: 1.0 if store is None else float(shares_without(store)[0]) for column, store in stores.items()
        }

    @property
    def vector_size(self) -> int:
        """Entries of all embedding columns together."""
        return sum(each.dimension for each in self.embeddings)

    @property
    def store_bytes(self) -> dict[str, int]:
        stores = {"tokens": self._tokens, self.image_column: self._images}
        if self.neighbours is not None:
            stores[self.neighbours.column] = self._neighbours
        stores |= {each.column: store for each, store in zip(self.embeddings, self._vectors, strict=True)}
        return {
            f"{self.entity_type}/{name}": store.values.nbytes + store.offsets.nbytes
            for name, store in stores.items()
            if store is not None
        }

    def __call__(self, rows: np.ndarray, hide_images=None, hide_text=None) -> dict[str, np.ndarray]:
        """Features of the entities at `rows` (int64 [n]), without a group where its `hide` mask (bool [n]) is true.

        Embeddings and neighbours are hidden with the images.

        Returns:
            token_ids int32 [T] and token_lengths int32 [n, fields]; with images also images float32 [I, D] and
            image_lengths int32 [n]; with neighbours also neighbours float32 [N, D] and neighbour_lengths int32 [n];
            with embeddings also vectors float32 [n, their sizes added up], the mean of those
            that an entity has in a column, zeros for none.
        """
        features = {}
        if self._fields.size:
            absent = np.broadcast_to(self._fields < 0, (len(rows), len(self._fields)))
            if hide_text is not None:
                absent = absent | hide_text[:, None]
            stored = rows[:, None] * self._stored_fields + self._fields
            features["token_ids"], features["token_lengths"] = _gather(self._tokens, stored, absent)
        absent = np.zeros(len(rows), bool) if hide_images is None else hide_images
        if self.image_column is not None and self._images is None:
            features["images"] = np.zeros((0, self.image_dimension), np.float32)
            features["image_lengths"] = np.zeros(len(rows), np.int32)
        elif self._images is not None:
            values, lengths = _gather(self._images, rows, absent)
            features["images"], features["image_lengths"] = _keep_first(values, lengths, self.slots)
        if self.neighbours is not None:
            values, lengths = _keep_first(*_gather(self._neighbours, rows, absent), self.neighbours.slots)
            features["neighbours"], features["neighbour_lengths"] = values, lengths
        if self.embeddings:
            pairs = zip(self.embeddings, self._vectors, strict=True)
            parts = [_means(store, rows, absent, each.dimension) for each, store in pairs]
            features["vectors"] = np.concatenate(parts, axis=1)
        return features


class QueryFeatures:
    """Raw queries as candidates: their texts, or their frozen embeddings.

    Args:
        data: the prepared folder.
        name: of the tower's raw input, `query` or `embedding`.
    """

    def __init__(self, data: PreparedData, name: str):
        self.store_bytes, self.absent, self.missing = {}, [], {}
        self._name, self._queries = name, data.queries("query")
        self.count = self._queries.count

    def __call__(self, rows: np.ndarray, hide_images=None, hide_text=None) -> dict[str, np.ndarray]:
        """`query`, an object array of UTF-8 bytes [n], or `embedding`, float32 [n, dimension]; nothing is hidden."""
        if self._name == "embedding":
            return {"embedding": np.asarray(self._queries.embeddings[rows], np.float32)}
        return {"query": np.array([text.encode() for text in self._queries.texts.gather(rows)], object)}


def candidate_features(data: PreparedData, tower, entity_type: str = "product") -> Features:
    """The gatherer of exactly those features of an entity type that a tower, or its config section, asks for."""
    if entity_type == "query":
        frozen = isinstance(tower, FrozenTowerConfig) or "embedding" in getattr(tower, "raw_signature", ())
        return QueryFeatures(data, "embedding" if frozen else "query")
    images = getattr(tower, "images", None)
    read = {"embeddings": getattr(tower, "embeddings", ()), "neighbours": getattr(tower, "neighbours", None)}
    read["entity_type"] = entity_type
    fields = getattr(tower, "text_fields", ())
    if images is None:
        return EntityFeatures(data, fields, **read)
    return EntityFeatures(data, fields, images.column, images.slots, images.dimension, **read)


def shares_without(store: RaggedStore, columns: int = 1) -> np.ndarray:
    """The share of entities that have nothing, float64 [columns], where entity e has the rows from e * columns on."""
    count, empty = len(store) // columns, np.zeros(columns, np.int64)
    for start in range(0, count, _BLOCK):
        ends = store.offsets[start * columns : min(start + _BLOCK, count) * columns + 1]
        empty += (np.diff(ends).reshape(-1, columns) == 0).sum(axis=0)
    return empty / count


def _gather(store, rows: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.zeros(rows.shape, np.int32)
    values, lengths[~absent] = store.gather(rows[~absent])
    return values, lengths


def _keep_first(values: np.ndarray, lengths: np.ndarray, slots: int) -> tuple[np.ndarray, np.ndarray]:
    if not lengths.size or lengths.max() <= slots:
        return values, lengths
    starts = np.cumsum(lengths) - lengths
    place = np.arange(len(values)) - np.repeat(starts, lengths)
    return values[place < slots], np.minimum(lengths, slots)


def _means(store: RaggedStore | None, rows: np.ndarray, absent: np.ndarray, dimension: int) -> np.ndarray:
    """The mean vector of each row, float32 [n, dimension]; zeros for a row that has none."""
    means = np.zeros((len(rows), dimension), np.float32)
    if store is None:
        return means
    values, lengths = _gather(store, rows, absent)
    there = lengths > 0
    if there.any():
        starts = np.cumsum(lengths[there]) - lengths[there]
        means[there] = np.add.reduceat(values, starts, axis=0) / lengths[there, None]
    return means
