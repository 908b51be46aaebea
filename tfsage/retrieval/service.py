"""What the retrieval service consists of: the bundles that answer, what follows CURRENT, and what is counted."""

from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from tfsage.bundle import Bundle
from tfsage.retrieval.loaded import Loaded, Settings
from tfsage.retrieval.problems import Problem
from tfsage.retrieval.swap import Follower, Slot
from tfsage.serving.client_metrics import ClientMetrics

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class RetrievalService:
    """Answers from the published bundle and follows it; close it, or use it as a context manager.

    Args:
        root: the folder of bundles.
        settings: see `Settings`.
        compare: another bundle's folder, to be put beside the published one.

    Attributes:
        registry: of every metric.
        requests: answered requests, by path and HTTP status.
        seconds: time of a request, by path.

    Raises:
        TfsageError: nothing is published, or a bundle cannot be loaded.
    """

    def __init__(self, root: Path, settings: Settings, compare: Path | None = None):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._client_metrics = ClientMetrics(self.registry)
        self._settings = settings
        self._slots = {"current": Slot(self._load(Bundle.current(root)))}
        try:
            if compare is not None:
                self._slots["compare"] = Slot(self._load_beside(Bundle.open(compare)))
        except BaseException:
            self._slots["current"].close()
            raise
        self.follower = Follower(Path(root), self._slots["current"], self._load_next)
        self._count()

    def borrow(self, bundle: str = "current"):
        """The loaded bundle of that name (`current`, `compare`), as a context.

        Raises:
            Problem: there is none to compare with (404).
        """
        if bundle not in self._slots:
            raise Problem(404, "bundle: there is none to compare with; start the service with --compare FOLDER")
        return self._slots[bundle].borrow()

    @property
    def bundles(self) -> list[str]:
        """The names of the loaded bundles."""
        return list(self._slots)

    def close(self) -> None:
        self.follower.close()
        for slot in self._slots.values():
            slot.close()

    def __enter__(self) -> "RetrievalService":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _load(self, bundle: Bundle) -> Loaded:
        return Loaded(bundle, self._settings, self._client_metrics)

    def _load_next(self, bundle: Bundle) -> Loaded:
        # Products that were added to the bundle before must not keep a new one of another space from answering.
        return Loaded(bundle, self._settings, self._client_metrics, lenient=True)

    def _load_beside(self, bundle: Bundle) -> Loaded:
        with self.borrow() as published:
            same = published.bundle.manifest.space_id == bundle.manifest.space_id
        # Vectors of pins and of added products are of the published space.
        settings = self._settings if same else replace(self._settings, pins=None, added=None)
        return Loaded(bundle, settings, self._client_metrics)

    def _count(self) -> None:
        registry = self.registry
        self.requests = Counter("tfsage_requests", "Requests, by result.", ["path", "status"], registry=registry)
        self.seconds = Histogram(
            "tfsage_request_seconds", "Time of a request.", ["path"], registry=registry, buckets=_SECONDS
        )
        swaps = Gauge("tfsage_bundle_swaps", "Times that a new bundle took over.", registry=registry)
        swaps.set_function(lambda: self.follower.swaps)
        added = Gauge("tfsage_added_products", "Products answered as they were added.", registry=registry)
        added.set_function(self._count_added)
        refused = Gauge("tfsage_bundle_refused", "1 while the published bundle is refused.", registry=registry)
        refused.set_function(lambda: float(self.follower.refusal is not None))

    def _count_added(self) -> int:
        with self.borrow() as loaded:
            return loaded.products().added_count
