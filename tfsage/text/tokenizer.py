"""Text to token ids, in the graph."""

import tensorflow as tf

from tfsage.config import TextConfig
from tfsage.errors import TfsageError
from tfsage.text.ngrams import Ngrams, keys_of_strings
from tfsage.text.vocabulary import KINDS, Vocabulary

_UNKNOWN = -1


class NgramTokenizer(tf.Module):
    """Word unigrams, word bigrams and character n-grams as ids of a vocabulary (ItemSage §3.2).

    Text is case-folded under NFKC and split at everything that is not a letter or a number; tokens outside the
    vocabulary are dropped, and a token that occurs twice is there twice. Everything is in the graph, the lookup
    tables included, from TensorFlow's own operations and one of TensorFlow Text that TensorFlow Serving links: an
    exported tower takes raw strings. Bytes that are not UTF-8 separate words. Memory is about 60 bytes per
    character of the batch.

    Raises:
        TfsageError: the vocabulary was built under another tokenization than `config` asks for.
    """

    def __init__(self, vocabulary: Vocabulary, config: TextConfig):
        super().__init__()
        if vocabulary.config != config:
            raise TfsageError(
                f"text: the prepared vocabulary was built with {vocabulary.config}, the config says {config}; "
                "run `tfsage prepare` again with this config, or train with the one the data was prepared with"
            )
        self.vocabulary_size = vocabulary.size
        self._ngrams = Ngrams(config)
        self._tables = [
            _table(vocabulary.tokens[kind], first_id)
            for kind, first_id in zip(KINDS, vocabulary.first_ids, strict=True)
        ]

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """
        Args:
            texts: string [n].

        Returns:
            int32 [n, None] token ids with int32 row splits: the words of a text in order, then its bigrams, joined
            bigrams and character n-grams.
        """
        _, spans = self._ngrams(texts)
        parts = []
        for span in spans:
            ids = self._tables[span.kind].lookup(span.keys)
            known = tf.RaggedTensor.from_row_splits(ids != _UNKNOWN, span.row_splits, validate=False)
            parts.append(
                tf.ragged.boolean_mask(tf.RaggedTensor.from_row_splits(ids, span.row_splits, validate=False), known)
            )
        return tf.concat(parts, axis=1)

    def features(self, columns: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        """The token features of entities with several text fields.

        Args:
            columns: one string [rows] per text field.

        Returns:
            token_ids int32 [T], row after row and within a row field after field; token_lengths int32 [rows, fields].
        """
        tokens = self(tf.reshape(tf.stack(columns, axis=1), [-1]))
        lengths = tf.reshape(tf.cast(tokens.row_lengths(), tf.int32), [-1, len(columns)])
        return {"token_ids": tokens.flat_values, "token_lengths": lengths}


def _table(tokens: list[str], first_id: int) -> tf.lookup.StaticHashTable:
    """From the key of a token to its id; _UNKNOWN for every other key."""
    # TensorFlow refuses an empty table, and a vocabulary may have no tokens of a kind.
    keys = tf.concat([[tf.constant(0, tf.int64)], keys_of_strings(tf.constant(tokens, tf.string))], 0)
    ids = tf.concat([[_UNKNOWN], tf.range(first_id, first_id + len(tokens))], 0)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, ids), _UNKNOWN)
