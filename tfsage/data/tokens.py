"""Vocabularies from the texts that may be learned from, and the token store of the catalog."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfsage.config import TextConfig
from tfsage.data.catalog import product_texts
from tfsage.data.stores import RaggedWriter, StringStore
from tfsage.data.tables import BATCH_ROWS
from tfsage.text.ngrams import Ngrams
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.text.vocabulary import KINDS, Vocabulary, build_vocabulary

_COVERAGE_BATCHES = 4


class TokenSteps:
    """The steps of preparation that tokenize; every text goes through the graph that is exported with the towers.

    Args:
        folder: the prepared folder, with products.parquet and the stores of the queries.
        fields: the text columns of the products.
        config: the tokenization and the vocabulary sizes.
    """

    def __init__(self, folder: Path, fields: tuple[str, ...], config: TextConfig):
        self._folder, self._fields, self._config = folder, fields, config

    def build_vocabulary(self, training_queries: np.ndarray, advance: Callable[[int], None]) -> Vocabulary:
        """Counts the catalog and the training queries (rows, int64); dev and test queries are never looked at."""
        products = self._counted(product_texts(self._folder, self._fields), advance) if self._fields else ()
        texts = chain(products, self._query_texts(training_queries))
        return build_vocabulary(texts, self._config, self._folder / "vocabulary")

    def write_tokens(self, vocabulary: Vocabulary, advance: Callable[[int], None]) -> None:
        """Writes stores/product/tokens: token ids (int32) of field f of product p in row p * len(fields) + f."""
        tokenizer = NgramTokenizer(vocabulary, self._config)
        tokenize = tf.function(tokenizer, input_signature=[tf.TensorSpec([None], tf.string)])
        with RaggedWriter(self._folder / "stores" / "product" / "tokens", np.int32) as writer:
            for batch in self._counted(product_texts(self._folder, self._fields), advance) if self._fields else ():
                tokens = tokenize(tf.constant(batch, tf.string))
                writer.append(tokens.flat_values.numpy(), np.diff(tokens.row_splits.numpy()))

    def coverage(self, vocabulary: Vocabulary, query_rows: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """For the products (the first few thousand) and the queries of each part: the share of tokens that are known.

        Args:
            vocabulary: the vocabulary.
            query_rows: rows of the text queries (int64) by part.
        """
        texts = {part: self._query_texts(rows) for part, rows in query_rows.items()}
        if self._fields:
            texts["products"] = product_texts(self._folder, self._fields)
        return {name: self._share_known(vocabulary, batches) for name, batches in texts.items()}

    def _share_known(self, vocabulary: Vocabulary, batches: Iterable[list[str]]) -> dict[str, float]:
        tokenizer, ngrams = NgramTokenizer(vocabulary, self._config), Ngrams(self._config)
        bounds = [*vocabulary.first_ids, vocabulary.size]
        known, total = np.zeros(len(KINDS), np.int64), np.zeros(len(KINDS), np.int64)
        for _, batch in zip(range(_COVERAGE_BATCHES), batches, strict=False):
            texts = tf.constant(batch, tf.string)
            known += np.histogram(tokenizer(texts).flat_values.numpy(), bounds)[0]
            for span in ngrams(texts)[1]:
                total[span.kind] += len(span.keys)
        return {kind: float(known[place] / max(total[place], 1)) for place, kind in enumerate(KINDS)}

    def _query_texts(self, rows: np.ndarray) -> Iterator[list[str]]:
        if len(rows):
            store = StringStore(self._folder / "stores" / "query" / "texts")
            for start in range(0, len(rows), BATCH_ROWS):
                yield store.gather(rows[start : start + BATCH_ROWS])

    def _counted(self, batches: Iterable[list[str]], advance: Callable[[int], None]) -> Iterator[list[str]]:
        for batch in batches:
            yield batch
            advance(len(batch) // len(self._fields))
