"""Where the pairs of a task come from: an engagement log, or the catalog itself."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from tfsage.config import TaskConfig
from tfsage.data.noise import CatalogQueries, misspell
from tfsage.data.permutation import uniform
from tfsage.data.prepared import PreparedData
from tfsage.data.training_pairs import training_pairs
from tfsage.errors import TfsageError
from tfsage.text.normalize import normalize_word, split_words
from tfsage.text.vocabulary import Vocabulary

_QUERY_SPACES = ("query", "pin", "product", "catalog_text", "catalog_image")
"""Each kind of query has its own range of query ids, so that a pin and a text query never share one."""


class PairRows(NamedTuple):
    """Some pairs of one task.

    Attributes:
        raw: what the query tower's `featurize` takes, by name: strings [n] or float32 [n, dimension].
        query_id: int64 [n], equal exactly where two pairs have the same query.
        candidate: int64 [n], rows of the catalog of the task's entity type.
        weight: float32 [n].
    """

    raw: dict[str, np.ndarray]
    query_id: np.ndarray
    candidate: np.ndarray
    weight: np.ndarray


class PairSource(Protocol):
    size: int

    def take(self, index: np.ndarray, keys: np.ndarray) -> PairRows:
        """The pairs at `index`, int64 [n]; whatever is random about a pair depends on its key, uint64 [n], alone."""

    def candidates(self, index: np.ndarray) -> np.ndarray:
        """The candidates of the pairs at `index`: int64 [n]."""


class EngagementPairs:
    """The distinct (query, candidate) training pairs of one task, memory-mapped."""

    def __init__(self, data: PreparedData, task: TaskConfig):
        self._pairs = training_pairs(data, task)
        self.size = len(self._pairs.query)
        self._queries = data.queries(task.query_type) if self.size else None
        self._space = query_space(task.query_type)
        self._noise = task.spelling_noise

    def take(self, index: np.ndarray, keys: np.ndarray) -> PairRows:
        query = self._pairs.query[index]
        if self._queries.embeddings is not None:
            raw = {"embedding": np.asarray(self._queries.embeddings[query], np.float32)}
        else:
            raw = {}
        if self._queries.texts is not None:
            raw["query"] = _noisy(self._queries.texts.gather(query), self._noise, keys)
        return PairRows(raw, query + self._space, self._pairs.candidate[index], self._pairs.weight[index])

    def candidates(self, index: np.ndarray) -> np.ndarray:
        return self._pairs.candidate[index]


class CatalogTextPairs:
    """Self-supervised pairs: a span or an IDF-sampled subset of a title's words → that product."""

    def __init__(self, data: PreparedData, task: TaskConfig):
        self._titles = data.titles
        vocabulary = Vocabulary.load(data.vocabulary_folder)
        self._make_query = CatalogQueries(_word_idf(vocabulary), partial(split_words, config=vocabulary.config))
        self._noise = task.spelling_noise
        self.size = data.product_count

    def take(self, index: np.ndarray, keys: np.ndarray) -> PairRows:
        titles = zip(self._titles.gather(index), keys, strict=True)
        raw = {
            "query": _noisy([self._make_query(title, _generator(key, 1)) for title, key in titles], self._noise, keys)
        }
        return PairRows(raw, index + query_space("catalog_text"), index, np.ones(len(index), np.float32))

    def candidates(self, index: np.ndarray) -> np.ndarray:
        return index


class CatalogImagePairs:
    """Self-supervised pairs: one image of a product, drawn uniformly → that product.

    Products that the exclusions table ties to a pin of dev or test are left out, unless the task says
    `held_out_images`: that pin is their image, and learning which product it belongs to tells what the product is.
    """

    def __init__(self, data: PreparedData, task: TaskConfig):
        self._images = data.images()
        self._with_images = np.flatnonzero(np.diff(self._images.offsets))
        if not task.held_out_images:
            pin, product = data.exclusions("pin")
            held_out = product[np.isin(pin, data.held_out_queries("pin"))]
            self._with_images = np.setdiff1d(self._with_images, held_out)
        self.size = len(self._with_images)

    def take(self, index: np.ndarray, keys: np.ndarray) -> PairRows:
        product = self._with_images[index]
        first, end = self._images.offsets[product], self._images.offsets[product + 1]
        chosen = first + (uniform(keys) * (end - first)).astype(np.int64)
        raw = {"embedding": np.asarray(self._images.values[chosen], np.float32)}
        return PairRows(raw, product + query_space("catalog_image"), product, np.ones(len(index), np.float32))

    def candidates(self, index: np.ndarray) -> np.ndarray:
        return self._with_images[index]


def pair_source(data: PreparedData, task: TaskConfig) -> PairSource | None:
    """The training pairs of a task, or None for an optional task that has none.

    Raises:
        TfsageError: the task has no training pairs and is not optional.
    """
    source = _SOURCES[task.source](data, task)
    if source.size:
        return source
    if task.optional:
        return None
    wanted = (
        f"surface {task.surface}, query_type {task.query_type}, entity_type {task.entity_type}, "
        f"actions {sorted(task.actions)}"
    )
    raise TfsageError(
        f"{data.folder}: task {task.name} has no training pairs ({wanted}); "
        "remove the task, mark it `optional: true`, or check the engagements table"
    )


def query_space(kind: str) -> int:
    """The first query id of a kind of query."""
    return _QUERY_SPACES.index(kind) << 48


def _word_idf(vocabulary: Vocabulary) -> Callable[[str], float]:
    """The inverse document frequency of a word as it is written; a word outside the vocabulary counts as the rarest."""
    words = vocabulary.tokens["unigrams"]
    idf = dict(zip(words, vocabulary.idf()[: len(words)].tolist(), strict=True))
    rarest = max(idf.values(), default=1.0)
    return lambda word: idf.get(normalize_word(word, vocabulary.config), rarest)


def _noisy(texts: list[str], rate: float, keys: np.ndarray) -> np.ndarray:
    wrong = uniform(keys) < rate
    texts = [misspell(t, _generator(k, 2)) if w else t for t, k, w in zip(texts, keys, wrong, strict=True)]
    return np.array([text.encode() for text in texts], object)


def _generator(key: np.uint64, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[key, stream]))


_SOURCES = {"engagements": EngagementPairs, "catalog_text": CatalogTextPairs, "catalog_image": CatalogImagePairs}
