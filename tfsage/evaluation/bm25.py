"""BM25 over the text of products: the lexical baseline of every text query."""

import functools
import math
import re
from collections.abc import Iterable, Iterator

import bm25s
import numpy as np
import Stemmer

K1 = 1.2
B = 0.75

_WORDS = re.compile(r"[^\W\d_]+|\d+(?:[./]\d+)*")


class BM25:
    """Stemmed BM25 (Robertson and Zaragoza 2009, with Lucene's idf, log(1 + (N - df + ½) / (df + ½))).

    A token is a run of letters or a number with its decimals or fraction ("2x4" is three tokens, "1/2" is one); no
    stop words are removed.

    Args:
        texts: one text per product.
        language: of the Snowball stemmer.

    Attributes:
        mean_length: of the texts, in tokens.
    """

    def __init__(self, texts: Iterable[str], language: str = "english"):
        # A word is stemmed once, not once per occurrence.
        self._stem = functools.cache(Stemmer.Stemmer(language).stemWord)
        vocabulary: dict[str, int] = {}
        documents = [[vocabulary.setdefault(t, len(vocabulary)) for t in self.tokens(text)] for text in texts]
        self._products = len(documents)
        self.mean_length = sum(map(len, documents)) / max(len(documents), 1)
        self._vocabulary = vocabulary
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
        if vocabulary:
            self._index.index((documents, vocabulary), show_progress=False)

    def tokens(self, text: str) -> list[str]:
        """The stemmed tokens of a text."""
        return [self._stem(word) for word in _WORDS.findall(text.lower())]

    def idf(self, token: str) -> float:
        """log(1 + (N - df + ½) / (df + ½)) of a stemmed token; df is 0 for one that no text has."""
        code = self._vocabulary.get(token)
        # One score is kept per token and text that has it.
        having = 0 if code is None else int(np.diff(self._index.scores["indptr"][code : code + 2])[0])
        return math.log1p((self._products - having + 0.5) / (having + 0.5))

    def rows(self, queries: Iterable[str]) -> Iterator[np.ndarray]:
        """For each query its scores of all products, a fresh float32 [products]; 0 where no token is shared."""
        for query in queries:
            known = [self._vocabulary[token] for token in self.tokens(query) if token in self._vocabulary]
            yield self._index.get_scores(known) if known else np.zeros(self._products, np.float32)
