"""A bundle in memory, ready to answer."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tfsage.bundle import Bundle
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.evaluation.bm25 import BM25
from tfsage.retrieval.added import watch_added
from tfsage.retrieval.catalog import Catalog, Images, Pins
from tfsage.retrieval.explain import Explainer, training_queries
from tfsage.retrieval.products import Products, Published
from tfsage.retrieval.searcher import Searcher
from tfsage.retrieval.withdrawn import watch_withdrawn
from tfsage.serving.cache import MemoryCache
from tfsage.serving.cache_redis import RedisCache
from tfsage.serving.client_metrics import ClientMetrics
from tfsage.serving.connect import connect


@dataclass(frozen=True)
class Settings:
    """How the service is set up; the options of `tfsage service`.

    Attributes:
        addresses: host:port of model servers; for each bundle the first that serves its space is taken. Without any,
            see `connect`.
        redis: URL of a Redis that keeps vectors of queries; a cache in this process by default.
        cache_size: vectors kept in this process.
        products: a products table with attributes; that of `data` by default.
        data: the prepared folder of the bundle's run, whose training queries explain hits.
        images: a Parquet file of pictures.
        pins: a Parquet file of pins' vectors.
        hybrid: whether hybrid search is offered; BM25 is built over all products when a bundle is loaded.
        withdrawn: a text file of products that are not answered any more, see `watch_withdrawn`.
        added: a Parquet file of embeddings of products that are new or have changed, see `watch_added`.
    """

    addresses: tuple[str, ...] = ()
    redis: str | None = None
    cache_size: int = 100_000
    products: Path | None = None
    data: Path | None = None
    images: Path | None = None
    pins: Path | None = None
    hybrid: bool = False
    withdrawn: Path | None = None
    added: Path | None = None


class Loaded:
    """A bundle with its index, vectors and catalog, and a client of a model server of its space.

    Args:
        bundle: to be loaded.
        settings: see `Settings`.
        metrics: what the client counts.
        lenient: whether a file of added products that does not fit the bundle is left out, until it does; else that is
            an error.

    Raises:
        TfsageError: no model server serves the bundle's space; the bundle is damaged; a file of the settings is not
            what it should be.
    """

    def __init__(self, bundle: Bundle, settings: Settings, metrics: ClientMetrics, lenient: bool = False):
        self.bundle, self.name = bundle, bundle.folder.name
        with contextlib.ExitStack() as stack:
            # First of all, because it is quick to see that no server has the space.
            self.client = stack.enter_context(
                connect(
                    bundle,
                    settings.addresses,
                    purpose="this service",
                    cache=_cache(bundle, settings, metrics, stack),
                    metrics=metrics,
                )
            )
            searcher = Searcher(bundle.load_index(), read_vectors(bundle))
            data = None if settings.data is None else PreparedData(settings.data)
            table = settings.products or (None if data is None else data.folder / "products.parquet")
            self.catalog = Catalog(searcher.index.id_map, table)
            self.bm25 = BM25(self.catalog.texts()) if settings.hybrid else None
            images = None if settings.images is None else Images(settings.images)
            self._published = Published(self.catalog, searcher, images, self.bm25)
            self.pins = None if settings.pins is None else Pins(settings.pins, bundle)
            self.withdrawn = None if settings.withdrawn is None else watch_withdrawn(settings.withdrawn)
            self.added = None
            if settings.added is not None:
                beside = (table, settings.images, self.bm25)
                self.added = watch_added(settings.added, bundle, self.catalog, *beside, lenient=lenient)
            self._products = Products(self._published)
            self.explainer = None
            if data is not None:
                self.explainer = Explainer(training_queries(data), self.client)
                stack.callback(self.explainer.close)
            self._stack = stack.pop_all()

    def products(self) -> Products:
        """What can be answered now. A request takes it once, so that it sees one state of the files."""
        added = None if self.added is None else self.added.value()
        withdrawn = () if self.withdrawn is None else self.withdrawn.value()
        products = self._products
        if products.added is not added or products.withdrawn is not withdrawn:
            self._products = products = Products(self._published, added, withdrawn)
        return products

    def close(self) -> None:
        self._stack.close()


def read_vectors(bundle: Bundle) -> np.ndarray:
    """The embeddings of a bundle, float32 [products, dimension], in the order of its index.

    Raises:
        TfsageError: there are none, or they are not those that the manifest describes.
    """
    bundle.check_embeddings()
    vectors = np.empty((bundle.manifest.products, bundle.manifest.dimension), np.float32)
    start = 0
    for part in bundle.parts():
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(columns=["embedding"]):
                rows = np.asarray(batch.column("embedding").flatten(), np.float32).reshape(len(batch), -1)
                vectors[start : start + len(rows)] = rows
                start += len(rows)
    if not np.isfinite(vectors).all():
        raise TfsageError(f"{bundle.embeddings}: NaN or infinite values; run python -m export.catalog again")
    return vectors


def _cache(bundle: Bundle, settings: Settings, metrics: ClientMetrics, stack: contextlib.ExitStack):
    if settings.redis is None:
        return MemoryCache(settings.cache_size)
    cache = RedisCache(settings.redis, bundle.manifest.dimension, metrics)
    stack.callback(cache.close)
    return cache
