"""What a query client counts, in Prometheus' terms."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class ClientMetrics:
    """Counters of one or several query clients.

    Attributes:
        registry: where they are exported from.
        queries: queries asked for, by result: `hit` (cache), `shared` (an equal query was under way) or `miss`.
        cache_errors: cache calls that `failed`, values that were `rejected`, calls left out while it was `resting`.
        predict_seconds: time of each call to the model server, retries included.
        retries: calls that were sent again because the server was not there.
    """

    def __init__(self, registry: CollectorRegistry | None = None):
        self.registry = CollectorRegistry() if registry is None else registry
        self.queries = Counter("tfsage_queries", "Queries embedded, by result.", ["result"], registry=self.registry)
        self.cache_errors = Counter(
            "tfsage_query_cache_errors", "Failures of the query cache, by kind.", ["kind"], registry=self.registry
        )
        self.predict_seconds = Histogram(
            "tfsage_query_predict_seconds", "Time of a Predict call.", registry=self.registry, buckets=_SECONDS
        )
        self.retries = Counter("tfsage_query_retries", "Predict calls that were sent again.", registry=self.registry)

    def count(self, metric: str, **labels: str) -> float:
        """The present value of one sample, 0 if it never moved; for example count("tfsage_queries", result="hit")."""
        return self.registry.get_sample_value(f"{metric}_total", labels) or 0.0

    @property
    def hit_rate(self) -> float:
        """The share of queries that did not reach the model; NaN before the first."""
        results = {name: self.count("tfsage_queries", result=name) for name in ("hit", "shared", "miss")}
        asked = sum(results.values())
        return (asked - results["miss"]) / asked if asked else float("nan")
