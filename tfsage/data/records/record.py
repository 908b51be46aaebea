"""One record: a row of a stream, joined to the features of its entity.

A record is a string of little-endian 32-bit words:

    row (int64, 2 words) · entity (int64, 2 words) · length of each of F text fields (F words) · images I (1 word)
    · token ids, field by field (int32) · image vectors (float32, I · D words) · embeddings (float32, V words)

so that in TensorFlow `tf.io.decode_raw(record, tf.int32)` gives the words, and `tf.bitcast(words, tf.float32)` the
vectors. `row` is the row's place in its stream (a task's pairs, or the catalog), `entity` its row of the catalog.
Every record of a stream has the same F, D and V, which stand in its manifest.
"""

from typing import NamedTuple

import numpy as np

from tfsage.data.features import EntityFeatures

_WORD = 4
_IDS = 4
"""Words of `row` and `entity`."""


class Shape(NamedTuple):
    """What all records of a stream have in common.

    Attributes:
        fields: text fields, F.
        dimension: of an image's vector, D; 0 where the stream has no images.
        vector_size: entries of all embedding columns together, V.
    """

    fields: int
    dimension: int
    vector_size: int = 0


def record_shape(features: EntityFeatures) -> Shape:
    """The shape of records that are joined to some features."""
    dimension = features.image_dimension if features.image_column is not None else 0
    return Shape(len(features.text_fields), dimension, features.vector_size)


def encode(rows: np.ndarray, entities: np.ndarray, features: dict[str, np.ndarray], shape: Shape) -> list[bytes]:
    """The records of some rows, int64 [n], whose entities have `features` (as from `EntityFeatures`)."""
    tokens, images = _lengths(features, len(rows), shape)
    head = np.empty((len(rows), _IDS + shape.fields + 1), "<i4")
    head[:, :_IDS] = np.stack([rows, entities], 1).astype("<i8").view("<i4")
    head[:, _IDS:-1], head[:, -1] = tokens, images
    parts = [
        _split(head, np.ones(len(rows), np.int64)),
        _split(features.get("token_ids", np.zeros(0)).astype("<i4", copy=False), tokens.sum(1)),
        _split(features.get("images", np.zeros(0)).astype("<f4", copy=False), images),
        _split(features.get("vectors", np.zeros((len(rows), 0))).astype("<f4", copy=False), np.ones(len(rows), int)),
    ]
    return [b"".join(pieces) for pieces in zip(*parts, strict=True)]


class Records(NamedTuple):
    """Some records: the bytes of the block that each lies in, and where it begins there."""

    blocks: list[bytes]
    starts: list[int]

    def __add__(self, others: "Records") -> "Records":
        return Records(self.blocks + others.blocks, self.starts + others.starts)


def decode_ids(records: Records) -> np.ndarray:
    """Row and entity of some records, int64 [n, 2]."""
    raw = b"".join([block[start : start + _IDS * _WORD] for block, start in zip(*records, strict=True)])
    return np.frombuffer(raw, "<i8").reshape(-1, 2)


def decode_features(
    records: Records, shape: Shape, hide_images: np.ndarray, hide_text: np.ndarray
) -> dict[str, np.ndarray]:
    """The features of some records, as `EntityFeatures` gives them; where a `hide` mask (bool [n]) is true, none.

    Returns:
        token_ids int32 [T] and token_lengths int32 [n, F] if there are text fields; with images also images
        float32 [I, D] and image_lengths int32 [n]; with embeddings also vectors float32 [n, V].
    """
    starts = np.array(records.starts, np.int64)
    lengths = _join(records.blocks, starts + _IDS * _WORD, np.full(len(starts), shape.fields + 1), "<i4")
    lengths = lengths.reshape(len(starts), shape.fields + 1)
    tokens, images = lengths[:, :-1] * ~hide_text[:, None], lengths[:, -1] * ~hide_images
    first_token = starts + (_IDS + shape.fields + 1) * _WORD
    features = {}
    if shape.fields:
        features["token_ids"] = _join(records.blocks, first_token, tokens.sum(1), "<i4")
        features["token_lengths"] = tokens
    first_image = first_token + lengths[:, :-1].sum(1) * _WORD
    if shape.dimension:
        vectors = _join(records.blocks, first_image, images * shape.dimension, "<f4")
        features["images"], features["image_lengths"] = vectors.reshape(-1, shape.dimension), images
    if shape.vector_size:
        first_vector = first_image + lengths[:, -1] * shape.dimension * _WORD
        vectors = _join(records.blocks, first_vector, np.full(len(starts), shape.vector_size), "<f4")
        features["vectors"] = vectors.reshape(-1, shape.vector_size) * ~hide_images[:, None]
    return features


def _lengths(features: dict[str, np.ndarray], rows: int, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    none = np.zeros((rows, shape.fields), np.int32)
    return features.get("token_lengths", none), features.get("image_lengths", np.zeros(rows, np.int32))


def _split(values: np.ndarray, lengths: np.ndarray) -> list[memoryview]:
    """The bytes of consecutive stretches of `values` (along its first axis)."""
    width = values.itemsize * int(np.prod(values.shape[1:]))
    ends = (np.cumsum(lengths, dtype=np.int64) * width).tolist()
    raw = memoryview(np.ascontiguousarray(values)).cast("B") if values.size else memoryview(b"")
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _join(blocks: list[bytes], starts: np.ndarray, words: np.ndarray, dtype: str) -> np.ndarray:
    """`words[i]` words of every block, from byte `starts[i]` on, one after the other."""
    ends = (starts + words * _WORD).tolist()
    raw = bytearray().join([block[start:end] for block, start, end in zip(blocks, starts.tolist(), ends, strict=True)])
    return np.frombuffer(raw, dtype)
