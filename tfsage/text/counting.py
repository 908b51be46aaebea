"""Counts tokens of any number of texts in bounded memory."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfsage.config import TextConfig
from tfsage.text.bags import bag_of_position
from tfsage.text.ngrams import BIGRAM, CHARACTER_NGRAM, UNIGRAM, Ngrams

_SCHEMA = pa.schema({"kind": pa.int8(), "token": pa.string(), "count": pa.int64(), "documents": pa.int64()})
_MEMORY_LIMIT = "1GB"


class TokenCounter:
    """Occurrences and document frequencies of the very tokens that the tokenizer sees; each text is a document.

    The counts of a batch go to disk at once, and DuckDB, which spills too, merges them at the end. Joined bigrams are
    not counted: the tokenizer keeps one only where it is a word that somebody wrote.

    Args:
        config: the tokenization.
        scratch: an existing folder for spilled counts, removed by the caller.

    Attributes:
        document_count: texts with at least one token so far.
    """

    def __init__(self, config: TextConfig, scratch: Path):
        self.document_count = 0
        self._ngrams = Ngrams(config)
        self._scratch = scratch
        self._writer = pq.ParquetWriter(scratch / "counts.parquet", _SCHEMA)
        self._count = tf.function(self._count_batch, input_signature=[tf.TensorSpec([None], tf.string)])

    def add(self, texts: list[str]) -> None:
        documents, kinds = self._count(tf.constant(texts, tf.string))
        self.document_count += int(documents)
        for kind, columns in kinds.items():
            token, *numbers = (column.numpy() for column in columns)
            kind = pa.repeat(pa.scalar(kind, pa.int8()), len(token))
            token = pa.array(token, pa.binary()).cast(pa.string())
            self._writer.write_table(pa.table([kind, token, *map(pa.array, numbers)], schema=_SCHEMA))

    def most_frequent(self, kind: int, limit: int) -> pa.Table:
        """The `limit` most frequent tokens of a kind, ties in order of their code points: token, count, documents.

        No more texts can be added afterwards.
        """
        self._writer.close()
        with duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": str(self._scratch)}) as connection:
            query = """
                SELECT token, sum(count)::BIGINT AS count, sum(documents)::BIGINT AS documents
                FROM read_parquet(?) WHERE kind = ? GROUP BY token ORDER BY count DESC, token LIMIT ?
            """
            spilled = str(self._scratch / "counts.parquet")
            return connection.sql(query, params=[spilled, kind, limit]).to_arrow_table()

    def _count_batch(self, texts: tf.Tensor):
        codes, spans = self._ngrams(texts)
        counts = {}
        for kind in (UNIGRAM, BIGRAM, CHARACTER_NGRAM):
            of_kind = [span for span in spans if span.kind == kind and span.starts is not None]
            if of_kind:
                counts[kind] = _count_kind(codes, of_kind)
        words = spans[0].row_splits
        return tf.math.count_nonzero(words[1:] - words[:-1]), counts


def _count_kind(codes: tf.Tensor, spans: list) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Distinct tokens (string), their occurrences (int64) and the texts they occur in (int64)."""
    keys, starts, ends = (tf.concat([getattr(span, part) for span in spans], 0) for part in ("keys", "starts", "ends"))
    texts = tf.concat(
        [bag_of_position(span.row_splits[1:] - span.row_splits[:-1], span.row_splits[-1]) for span in spans], 0
    )
    distinct, index, count = tf.unique_with_counts(keys, tf.int64)
    # There may be more texts than tokens, when many texts are empty.
    text_count = tf.size(spans[0].row_splits, tf.int64) - 1
    in_text, _ = tf.unique(index * text_count + tf.cast(texts, tf.int64))
    size = tf.size(distinct, tf.int64)
    ones = tf.ones_like(in_text)
    documents = tf.math.unsorted_segment_sum(ones, in_text // text_count, size)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(keys)), index, size)
    return _encode(codes, tf.gather(starts, first), tf.gather(ends, first)), count, documents


def _encode(codes: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The spans of `codes` as UTF-8 strings."""
    lengths = ends - starts
    splits = tf.concat([[0], tf.cumsum(lengths)], 0)
    span = bag_of_position(lengths, splits[-1])
    positions = tf.range(splits[-1]) + tf.gather(starts - splits[:-1], span)
    characters = tf.RaggedTensor.from_row_splits(tf.gather(codes, positions), splits, validate=False)
    return tf.strings.unicode_encode(characters, "UTF-8")
