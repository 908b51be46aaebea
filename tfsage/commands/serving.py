"""Answers: the model server, a search, the retrieval service."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tfsage.commands.options import Root

commands = typer.Typer()


@commands.command(
    epilog="Example: tfsage serve --root bundles",
    # TensorFlow Serving writes its flags with underscores.
    context_settings={"token_normalize_func": lambda word: word.replace("_", "-")},
)
def serve(
    root: Annotated[
        Path | None,
        typer.Option("--root", help="Folder of published bundles; with a model config it is found at /models/bundle."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[
        int, typer.Option("--grpc-port", "--port", min=0, max=65535, help="0 takes a free port.")
    ] = 8500,
    rest_port: Annotated[
        int, typer.Option("--rest-port", "--rest-api-port", min=0, max=65535, help="0 takes a free port.")
    ] = 8501,
    model_config_file: Annotated[
        Path | None, typer.Option(help="ModelServerConfig: models, version policies, labels.")
    ] = None,
    model_config_file_poll_wait_seconds: Annotated[
        float, typer.Option(min=0, help="How often that file is read again; 0 for never.")
    ] = 0,
    file_system_poll_wait_seconds: Annotated[
        float, typer.Option(min=0, help="How often new versions are looked for; 0 for never.")
    ] = 1,
    allow_version_labels_for_unavailable_models: Annotated[
        bool, typer.Option("--allow-version-labels-for-unavailable-models", help="For labels in the first config.")
    ] = False,
    enable_batching: Annotated[
        bool, typer.Option("--enable-batching", help="Run requests together that wait at the same time.")
    ] = False,
    batching_parameters_file: Annotated[Path | None, typer.Option(help="BatchingParameters.")] = None,
    monitoring_config_file: Annotated[Path | None, typer.Option(help="MonitoringConfig: metrics over REST.")] = None,
    ssl_config_file: Annotated[Path | None, typer.Option(help="SSLConfig: TLS of the gRPC port.")] = None,
    tensorflow_session_config_file: Annotated[
        Path | None, typer.Option(help="ConfigProto of every model's session.")
    ] = None,
    grpc_max_threads: Annotated[int, typer.Option(min=1, help="gRPC calls that are worked on at once.")] = 64,
    rest_api_timeout_in_ms: Annotated[int, typer.Option(min=1, help="Longest time for a call over REST.")] = 30_000,
) -> None:
    """Serve the published bundle's towers as TensorFlow Serving would (for development).

    Options have the names of tensorflow_model_server's flags, which may also be written with underscores.
    """
    if root is not None:
        _require_published(root)
    from tfsage.quiet import quiet_tensorflow

    quiet_tensorflow()
    from tfsage.serving.flags import Flags
    from tfsage.serving.server import serve as serve_models

    flags = Flags(
        model_config_file=model_config_file,
        model_config_file_poll_wait_seconds=model_config_file_poll_wait_seconds,
        file_system_poll_wait_seconds=file_system_poll_wait_seconds,
        allow_version_labels_for_unavailable_models=allow_version_labels_for_unavailable_models,
        enable_batching=enable_batching,
        batching_parameters_file=batching_parameters_file,
        monitoring_config_file=monitoring_config_file,
        ssl_config_file=ssl_config_file,
        tensorflow_session_config_file=tensorflow_session_config_file,
        grpc_max_threads=grpc_max_threads,
        rest_api_timeout_in_ms=rest_api_timeout_in_ms,
    )
    serve_models(root, flags, grpc_port=grpc_port, rest_port=rest_port, host=host)


@commands.command(epilog='Example: tfsage search --root bundles "mid century walnut desk" -k 10')
def search(
    root: Root,
    text: Annotated[str, typer.Argument(help="What a shopper would type.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many products to show.")] = 10,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="Model server to ask. Without it: the one on 127.0.0.1:8500 if it serves this bundle, "
            "else one is started for this search.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the products as JSON.")] = False,
) -> None:
    """Find products for a text query: query tower over gRPC, then the index."""
    from tfsage.serving.query_text import check_query

    check_query(text)
    _require_published(root)
    from tfsage.quiet import quiet_tensorflow

    quiet_tensorflow()
    from tfsage.serving.search import search as search_bundle

    hits = search_bundle(root, text, k, address=address)
    if as_json:
        typer.echo(json.dumps([hit._asdict() for hit in hits], ensure_ascii=False))
        return
    for place, hit in enumerate(hits, start=1):
        typer.echo(f"{place:3}  {hit.score:.4f}  {hit.product_id}  {hit.title}")


@commands.command(epilog="Example: tfsage service --root bundles --data runs/demo/data")
def service(
    root: Root,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free port.")] = 8080,
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="Model server to ask; may be repeated, the first that serves the bundle's space is taken. Without it: "
            "the one on 127.0.0.1:8500 if it does, else one is started in this process.",
        ),
    ] = None,
    redis: Annotated[
        str | None, typer.Option("--redis", metavar="URL", help="Redis for query vectors; this process by default.")
    ] = None,
    cache_size: Annotated[
        int, typer.Option("--cache-size", min=1, help="Query vectors that are kept in this process.")
    ] = 100_000,
    products: Annotated[
        Path | None,
        typer.Option("--products", help="Products table (Parquet) to filter by; that of --data by default."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Prepared folder; its training queries explain hits.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Parquet file of pictures: product_id, image (bytes).")
    ] = None,
    pins: Annotated[
        Path | None, typer.Option("--pins", help="Parquet file of pins in the space: pin_id, embedding.")
    ] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Offer fusion with BM25 over the products' text.")] = False,
    withdrawn: Annotated[
        Path | None,
        typer.Option("--withdrawn", help="Text file of products not to answer any more, one id a line; may change."),
    ] = None,
    added: Annotated[
        Path | None,
        typer.Option("--added", help="Parquet file of embedded products, new since the bundle was made; may change."),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Folder of another bundle, to be put beside the published one.")
    ] = None,
) -> None:
    """Answer search, similar products and Home over HTTP, with a page to try them; follows the published bundle."""
    _require_published(root)
    from tfsage.quiet import quiet_tensorflow

    quiet_tensorflow()
    from tfsage.retrieval.loaded import Settings
    from tfsage.retrieval.server import run_service

    settings = Settings(tuple(address or ()), redis, cache_size, products, data, images, pins, hybrid, withdrawn, added)
    run_service(root, settings, compare=compare, host=host, port=port)


def _require_published(root: Path) -> None:
    """Finds a mistyped folder out before TensorFlow is loaded."""
    from tfsage.bundle import Bundle

    Bundle.current(root)
