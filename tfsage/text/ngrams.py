"""Where the tokens of a text are, and a 64-bit key for each, without ever making a string of them.

Texts are laid out as one sequence of code points: a mark, a word, a mark, a word, ..., a mark. Every token is a span of
that sequence: a word; two words with the mark between them ("dry_wall"); a window inside one word with its two
boundary marks ("_dr", "dry", "ry_"). The key of a span is a polynomial hash, and follows from two entries of one
prefix sum, so that the cost is a few integer operations per character whatever the length of the token. Two different
tokens share a key with probability about 2^-64.
"""

from typing import NamedTuple

import tensorflow as tf

from tfsage.config import TextConfig
from tfsage.text.bags import bag_of_position
from tfsage.text.normalize import normalize, word_characters
from tfsage.text.splitmix import splitmix64

UNIGRAM, BIGRAM, CHARACTER_NGRAM = range(3)
"""The kinds of tokens, in the order of their ids."""

MARK = "_"
"""Stands between two words and at both ends of each; no word contains it."""

_MULTIPLIER = 0xD1342543DE82EF95
_INVERSE = pow(_MULTIPLIER, -1, 2**64)


class Spans(NamedTuple):
    """The tokens of one kind, text after text.

    Attributes:
        kind: UNIGRAM, BIGRAM or CHARACTER_NGRAM.
        keys: int64 [tokens].
        row_splits: int32 [texts + 1], as in a `tf.RaggedTensor`.
        starts: int32 [tokens], positions in `Layout.codes`; None for joined bigrams, which are not one span.
        ends: int32 [tokens], exclusive; None for joined bigrams.
    """

    kind: int
    keys: tf.Tensor
    row_splits: tf.Tensor
    starts: tf.Tensor | None
    ends: tf.Tensor | None


class Ngrams(tf.Module):
    """Finds the spans of every token of a text, in the graph."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self._config = config
        self._is_word = tf.constant(word_characters())

    def __call__(self, texts: tf.Tensor) -> tuple[tf.Tensor, list[Spans]]:
        """
        Args:
            texts: string [n].

        Returns:
            the code points (int32) that `starts` and `ends` point into, and the tokens: words, bigrams, joined bigrams
            if the config has them, character n-grams of each length.
        """
        layout = Layout(normalize(texts, self._config), self._is_word)
        spans = [layout.words(), layout.bigrams()]
        if self._config.joined_bigrams:
            spans.append(layout.joined_bigrams())
        return layout.codes, spans + [layout.windows(length) for length in self._config.character_lengths]


class Layout:
    """Normalised texts as marks and words. Only made and used while tracing one graph.

    Attributes:
        codes: int32 [positions], code points; starts and ends with a mark.
    """

    def __init__(self, texts: tf.Tensor, is_word: tf.Tensor):
        closed = tf.strings.join([texts, MARK])
        decoded = tf.strings.unicode_decode(closed, "UTF-8", errors="replace").with_row_splits_dtype(tf.int32)
        word = tf.gather(is_word, decoded.flat_values)
        after_word = tf.concat([[False], word], 0)[:-1]
        kept = tf.where(word, decoded.flat_values, ord(MARK))
        # A mark opens the sequence; every word brings the one that closes it.
        self.codes = tf.concat([[ord(MARK)], tf.boolean_mask(kept, word | after_word)], 0)
        self._is_mark = self.codes == ord(MARK)
        self._marks = tf.cast(tf.where(self._is_mark)[:, 0], tf.int32)
        self._word_splits = _splits(word & ~after_word, decoded.row_splits)
        self._prefix, self._powers, self._inverse_powers = _prefix_sums(self.codes)

    def words(self) -> Spans:
        return self._spans(UNIGRAM, self._marks[:-1] + 1, self._marks[1:], self._word_splits)

    def bigrams(self) -> Spans:
        first, splits = self._first_words()
        return self._spans(BIGRAM, tf.gather(self._marks, first) + 1, tf.gather(self._marks, first + 2), splits)

    def joined_bigrams(self) -> Spans:
        """Two words without the mark between them, as the one word they might be: "dry wall" as "drywall"."""
        first, splits = self._first_words()
        words = self.words()
        lengths = words.ends - words.starts
        left, right = tf.gather(words.keys, first), tf.gather(words.keys, first + 1)
        shift = tf.bitcast(tf.gather(self._powers, tf.gather(lengths, first)), tf.int64)
        return Spans(UNIGRAM, left + right * shift, splits, None, None)

    def windows(self, length: int) -> Spans:
        """All windows of `length` code points that lie in one word with its two marks."""
        count = tf.maximum(tf.size(self.codes) - length + 1, 0)
        # Only the first and the last position may be a mark, and not the only one.
        blocked = self._is_mark[:count] if length == 1 else tf.zeros([count], bool)
        for place in range(1, length - 1):
            blocked |= self._is_mark[place : count + place]
        starts = tf.cast(tf.where(~blocked)[:, 0], tf.int32)
        text_starts = tf.gather(self._marks, self._word_splits)
        return self._spans(CHARACTER_NGRAM, starts, starts + length, _splits(~blocked, tf.minimum(text_starts, count)))

    def _first_words(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The words that another word of the same text follows, and their row splits."""
        counts = self._word_splits[1:] - self._word_splits[:-1]
        text = bag_of_position(counts, self._word_splits[-1])
        followed = tf.concat([text[:-1] == text[1:], tf.zeros_like(text[:1], bool)], 0)
        return tf.cast(tf.where(followed)[:, 0], tf.int32), _splits(followed, self._word_splits)

    def _spans(self, kind: int, starts: tf.Tensor, ends: tf.Tensor, row_splits: tf.Tensor) -> Spans:
        sums = tf.gather(self._prefix, ends) - tf.gather(self._prefix, starts)
        keys = tf.bitcast(sums * tf.gather(self._inverse_powers, starts), tf.int64)
        return Spans(kind, keys, row_splits, starts, ends)


def keys_of_strings(tokens: tf.Tensor) -> tf.Tensor:
    """The keys of whole strings, as `Ngrams` computes them for spans: int64 [n] for valid UTF-8 string [n]."""
    decoded = tf.strings.unicode_decode(tokens, "UTF-8").with_row_splits_dtype(tf.int32)
    prefix, _, inverse_powers = _prefix_sums(decoded.flat_values)
    starts, ends = decoded.row_splits[:-1], decoded.row_splits[1:]
    sums = tf.gather(prefix, ends) - tf.gather(prefix, starts)
    return tf.bitcast(sums * tf.gather(inverse_powers, starts), tf.int64)


def _prefix_sums(codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """sum over j < i of mix(codes[j]) p^j, then p^i and p^-i; each uint64 [positions + 1], modulo 2^64."""
    positions = tf.size(codes) + 1
    powers = tf.math.cumprod(tf.fill([positions], tf.constant(_MULTIPLIER, tf.uint64)), exclusive=True)
    inverse_powers = tf.math.cumprod(tf.fill([positions], tf.constant(_INVERSE, tf.uint64)), exclusive=True)
    terms = splitmix64(tf.cast(codes, tf.uint64)) * powers[:-1]
    return tf.concat([tf.zeros([1], tf.uint64), tf.cumsum(terms)], 0), powers, inverse_powers


def _splits(chosen: tf.Tensor, row_splits: tf.Tensor) -> tf.Tensor:
    """Row splits of the positions where `chosen` is true, given the row splits of all positions."""
    before = tf.concat([[0], tf.cumsum(tf.cast(chosen, tf.int32))], 0)
    return tf.gather(before, row_splits)
