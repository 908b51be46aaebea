"""Serving: the embedded model server, its query client, and search over a published bundle."""

__all__ = ["QueryClient"]


def __getattr__(name: str):
    # TensorFlow is imported with the client, not when the command line only asks for a check of a query's text.
    if name == "QueryClient":
        from tfsage.serving.client import QueryClient

        return QueryClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
