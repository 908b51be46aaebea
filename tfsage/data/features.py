"""Product features as the towers take them, gathered from the memory-mapped stores of a prepared folder."""

import numpy as np

from tfsage.data.prepared import PreparedData


class ProductFeatures:
    """Gathers the features of any rows of the catalog; memory grows with the rows asked for, not with the catalog.

    Args:
        data: the prepared folder.
        text_fields: the text columns that the tower reads, in its order; columns that the tables do not have are empty.
        image_column: the embedding column whose rows fill the image slots, or None.
        slots: how many images of a product are kept.
        image_dimension: entries of an image's vector; products of tables without the column have no image.
    """

    def __init__(
        self,
        data: PreparedData,
        text_fields: tuple[str, ...] = (),
        image_column: str | None = None,
        slots: int = 20,
        image_dimension: int = 256,
    ):
        self.text_fields = tuple(text_fields)
        self.image_column, self.slots, self.image_dimension = image_column, slots, image_dimension
        self._tokens = data.tokens
        self._stored_fields = len(data.text_fields)
        places = {field: place for place, field in enumerate(data.text_fields)}
        self._fields = np.array([places.get(field, -1) for field in text_fields], np.int64)
        stored = image_column in data.entity("product").embedding_columns
        self._images = data.images(image_column) if stored else None

    @property
    def store_bytes(self) -> dict[str, int]:
        """Bytes of the stores that the features are gathered from, by name."""
        stores = {"tokens": self._tokens if self._fields.size else None, self.image_column: self._images}
        return {name: store.values.nbytes + store.offsets.nbytes for name, store in stores.items() if store is not None}

    def __call__(self, rows: np.ndarray, hide_images=None, hide_text=None) -> dict[str, np.ndarray]:
        """Features of the products at `rows` (int64 [n]); rows where a `hide` mask (bool [n]) is true lose that group.

        Returns:
            token_ids int32 [T] and token_lengths int32 [n, fields]; with images also images float32 [I, D] and
            image_lengths int32 [n].
        """
        features = {}
        if self._fields.size:
            absent = np.broadcast_to(self._fields < 0, (len(rows), len(self._fields)))
            if hide_text is not None:
                absent = absent | hide_text[:, None]
            stored = rows[:, None] * self._stored_fields + self._fields
            features["token_ids"], features["token_lengths"] = _gather(self._tokens, stored, absent)
        if self.image_column is not None and self._images is None:
            features["images"] = np.zeros((0, self.image_dimension), np.float32)
            features["image_lengths"] = np.zeros(len(rows), np.int32)
        elif self._images is not None:
            absent = np.zeros(len(rows), bool) if hide_images is None else hide_images
            values, lengths = _gather(self._images, rows, absent)
            features["images"], features["image_lengths"] = _keep_first(values, lengths, self.slots)
        return features


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
