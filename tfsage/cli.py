"""The `tfsage` command. TensorFlow is imported inside the commands that need it, so that help is instant."""

import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import tfsage
from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.launch import launch

app = typer.Typer(
    help="Product, pin and query embeddings for shopping search: from tables to an answered query.",
    epilog="Start with: tfsage synth --products 2000 --out shop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


enrich = typer.Typer(
    help="Add text that others wrote about products and pins, as one more column.", no_args_is_help=True
)
app.add_typer(enrich, name="enrich")


class OnBadRows(StrEnum):
    FAIL = "fail"
    QUARANTINE = "quarantine"


class Split(StrEnum):
    DEV = "dev"
    TEST = "test"


Out = Annotated[Path, typer.Option("--out", help="Folder to write; it appears when it is complete.")]
ConfigFile = Annotated[Path, typer.Option("--config", help="YAML file that describes the run.")]
Run = Annotated[Path, typer.Option("--run", help="Run folder: config, checkpoints, metrics.")]
Root = Annotated[Path, typer.Option("--root", help="Folder of published bundles, with CURRENT in it.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tfsage {tfsage.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: tfsage synth --products 2000 --out shop")
def synth(
    products: Annotated[int, typer.Option("--products", min=1, help="How many products the shop sells.")],
    out: Out,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same shop.")] = 1,
    days: Annotated[int, typer.Option("--days", min=1, help="How many days of engagement there are.")] = 90,
) -> None:
    """Write a synthetic shop, whose true relevance is known, as Parquet tables."""
    from tfsage.data.synthetic import write_shop

    write_shop(out, products=products, seed=seed, days=days)
    _done(f"tables in {out}")


@app.command("import", epilog="Example: tfsage import home_depot --source downloads/home_depot --out tables")
def import_(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    source: Annotated[Path, typer.Option("--source", help="Folder with the dataset's files.")],
    out: Out,
) -> None:
    """Turn a known public dataset into tfsage tables."""
    from tfsage.data.importers import import_dataset

    import_dataset(name, source, out)
    _done(f"tables in {out}")


Tables = Annotated[Path, typer.Option("--tables", help="Folder of Parquet tables.")]
SplitFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file whose `prepare.split` and `enrich` count; defaults without.")
]
Before = Annotated[
    datetime | None,
    typer.Option(
        "--before", help="Only what happened before this moment is known; by default what the split trains on."
    ),
]


@enrich.command("boards", epilog="Example: tfsage enrich boards --tables shop --out shop_boards")
def enrich_boards(tables: Tables, out: Out, config: SplitFile = None, before: Before = None) -> None:
    """Add `board_titles`: the most telling titles of the boards that a product or pin was saved to."""
    from tfsage.data.enrichment import jobs

    jobs.enrich_boards(tables, out, *_enrichment(config), before)
    _done(f"tables in {out}")


@enrich.command("queries", epilog="Example: tfsage enrich queries --tables shop --out shop_queries")
def enrich_queries(
    tables: Tables,
    out: Out,
    config: SplitFile = None,
    before: Before = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of counts by period: count only what it does not know yet.")
    ] = None,
) -> None:
    """Add `engaged_queries`: the queries that led most often to engagement with a product or pin."""
    from tfsage.data.enrichment import jobs

    jobs.enrich_queries(tables, out, *_enrichment(config), before, state)
    _done(f"tables in {out}")


@enrich.command(
    "captions", epilog="Example: tfsage enrich captions --tables shop --column alt_text --out shop_captions"
)
def enrich_captions(
    tables: Tables,
    out: Out,
    column: Annotated[str, typer.Option("--column", help="Column of captions; with --blip, of pictures.")],
    blip: Annotated[
        Path | None, typer.Option("--blip", help="Local folder with a Hugging Face BLIP checkpoint (extra `captions`).")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of the pictures, if the column holds file names.")
    ] = None,
) -> None:
    """Add `captions`: what the pictures of products and pins show, from a column or from a captioning model."""
    from tfsage.data.enrichment import jobs
    from tfsage.data.enrichment.captions import ColumnCaptions

    if blip is None:
        captioner = ColumnCaptions(column)
    else:
        from tfsage.data.enrichment.blip import BlipCaptions

        captioner = BlipCaptions(blip, column, images)
    jobs.enrich_captions(tables, out, captioner)
    _done(f"tables in {out}")


@app.command(epilog="Example: tfsage prepare --tables shop --config configs/demo.yaml --out prepared")
def prepare(
    tables: Annotated[Path, typer.Option("--tables", help="Folder of Parquet tables.")],
    config: ConfigFile,
    out: Out,
    on_bad_rows: Annotated[
        OnBadRows, typer.Option("--on-bad-rows", help="Stop at bad rows, or set them aside and go on.")
    ] = OnBadRows.FAIL,
) -> None:
    """Validate tables, split and cap the pairs, build the vocabularies."""
    from tfsage.config import load_config

    settings = load_config(config)
    from tfsage.data.prepare import prepare as prepare_tables

    prepare_tables(tables, settings, out, on_bad_rows=on_bad_rows.value)
    _done(f"prepared data in {out}, what was dropped and why in {out / 'report.json'}")


@app.command(epilog="Example: tfsage audit --data prepared")
def audit(
    data: Annotated[Path, typer.Option("--data", help="Folder that `tfsage prepare` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole audit as JSON.")] = False,
) -> None:
    """Tell whether features know what evaluation asks; the exit status is 1 when they do."""
    from tfsage.data.leakage import describe_leaks, read_audit

    found = read_audit(data)
    lines = describe_leaks(found)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        checked = ", ".join(found) or "no enriched columns"
        typer.echo("\n".join(lines) or f"No feature knows what evaluation asks ({checked})")
    if lines:
        raise typer.Exit(1)


@app.command(epilog="Example: tfsage train --data prepared --config configs/demo.yaml --run runs/demo")
def train(
    data: Annotated[Path, typer.Option("--data", help="Folder that `tfsage prepare` wrote.")],
    config: ConfigFile,
    run: Run,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed than the config's.")] = None,
    replicas: Annotated[
        int | None,
        typer.Option("--replicas", min=1, help="Devices that share every batch: all GPUs, or one CPU, by default."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes of this machine that share every batch.")
    ] = 1,
) -> None:
    """Train the towers; the same command goes on where a stopped run left off.

    For workers on several machines, run the command on each of them, with TF_CONFIG in the environment.
    """
    from tfsage.config import load_config, with_seed

    settings = load_config(config)
    if workers > 1:
        from tfsage.training.workers import run_workers

        words = ["--data", data, "--config", config, "--run", run]
        words += [] if seed is None else ["--seed", seed]
        words += [] if replicas is None else ["--replicas", replicas]
        return run_workers(workers, ["-m", "tfsage.cli", "train", *words])
    if seed is not None:
        settings = with_seed(settings, seed)
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.training import train as train_towers

    train_towers(data, settings, run, replicas=replicas)


@app.command(epilog="Example: tfsage evaluate --run runs/demo")
def evaluate(
    run: Run,
    split: Annotated[Split, typer.Option("--split", help="Which pairs to evaluate on.")] = Split.TEST,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Bundle exported from the run: also measure what its serving loses.")
    ] = None,
) -> None:
    """Measure recall beside baselines; write metrics.json and report.html into the run."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.evaluation import evaluate_run

    evaluate_run(run, split=split.value, bundle=bundle)
    _done(f"report in {run / ('report.html' if split is Split.TEST else 'report_dev.html')}")


@app.command(epilog="Example: tfsage compare runs/before runs/after")
def compare(
    run_a: Annotated[Path, typer.Argument(help="Evaluated run to compare with.", show_default=False)],
    run_b: Annotated[Path, typer.Argument(help="Evaluated run in question.", show_default=False)],
    split: Annotated[Split, typer.Option("--split", help="Which evaluation of the runs.")] = Split.TEST,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Paired difference of two evaluated runs, by task and by stratum, with a verdict."""
    from rich.console import Console

    from tfsage.evaluation.comparison import comparison_tables, verdict_lines
    from tfsage.evaluation.paired import compare_runs

    compared = compare_runs(run_a, run_b, split=split.value)
    verdict = verdict_lines(compared)
    if as_json:
        typer.echo(json.dumps({**compared, "verdict": verdict}, indent=2))
        return
    for table in comparison_tables(compared):
        Console().print(table)
    typer.echo("\n".join(verdict))


@app.command(epilog="Example: tfsage doctor bundles/CURRENT --against bundles/0a1b2c3d4e5f")
def doctor(
    bundle: Annotated[Path, typer.Argument(help="Bundle to examine.", show_default=False)],
    against: Annotated[
        Path | None, typer.Option("--against", help="Earlier bundle: what changed, and can both be mixed?")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file whose section `doctor` has the thresholds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine the vectors and towers of a bundle. Exit status: 0 healthy, 1 alarms, 2 could not be examined."""
    from rich.console import Console

    from tfsage.bundle import Bundle
    from tfsage.config import DoctorConfig, load_config
    from tfsage.health import diagnose
    from tfsage.health.table import findings_table, remedies_table
    from tfsage.quiet import quiet_tensorflow

    try:
        settings = load_config(config).doctor if config else DoctorConfig()
        bundles = [Bundle.open(folder) for folder in (bundle, against) if folder]
        quiet_tensorflow()
        from tfsage.health.bundle_space import bundle_space

        findings = diagnose(*map(bundle_space, bundles), config=settings)
    except TfsageError as error:
        error.exit_status = 2
        raise
    healthy = all(finding.verdict != "alarm" for finding in findings)
    if as_json:
        about = {"bundle": str(bundle), "against": str(against) if against else None, "healthy": healthy}
        typer.echo(json.dumps({**about, "findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        Console().print(findings_table(findings, f"health of {bundle}"))
        if not healthy:
            Console().print(remedies_table(findings))
    if not healthy:
        raise typer.Exit(1)


@app.command(epilog="Example: tfsage neighbours --tables shop --out shop_neighbours")
def neighbours(
    tables: Tables,
    out: Out,
    count: Annotated[int, typer.Option("--count", min=1, help="How many neighbours a product keeps.")] = 50,
    walkers: Annotated[int, typer.Option("--walkers", min=1, help="Random walks from each product.")] = 50,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of each walk.")] = 40,
    restart: Annotated[
        float, typer.Option("--restart", min=0.0, max=1.0, help="Chance to go back to the product before a step.")
    ] = 0.3,
    seed: Annotated[int, typer.Option("--seed", help="Of the walks.")] = 1,
    config: SplitFile = None,
    before: Before = None,
) -> None:
    """Add `neighbour_embeddings` to products: the pins that random walks over the boards visit most."""
    from tfsage.graph.neighbours import write_neighbours
    from tfsage.graph.walks import Walks

    write_neighbours(tables, out, count, Walks(walkers, steps, restart, seed), _enrichment(config)[1], before)
    _done(f"tables in {out}")


@app.command(epilog="Example: tfsage baselines --run runs/demo")
def baselines(
    run: Run,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="sum_mlp, mlp_concat_mlp or tfrs; may be repeated; all by default."),
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which pairs the run was evaluated on.")] = Split.TEST,
    sentence_model: Annotated[
        Path | None, typer.Option("--sentence-model", help="Folder of a sentence-transformers model, as one more.")
    ] = None,
) -> None:
    """Train baselines on an evaluated run's data, then evaluate it again with them in the same table."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.baselines import BASELINES, write_baselines
    from tfsage.evaluation import evaluate_run

    write_baselines(run, name or BASELINES, split.value, sentence_model)
    evaluate_run(run, split=split.value)
    _done(f"report in {run / ('report.html' if split is Split.TEST else 'report_dev.html')}")


@app.command(epilog="Example: tfsage experiment losses/shop --out experiments/losses_shop")
def experiment(
    name: Annotated[
        str,
        typer.Argument(
            help="itemsage/table2 or table3, omnisearchsage/table3 to table6, losses/shop or losses/home_depot; "
            "docs/experiments.md"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the experiment; what is done there is kept.")],
    source: Annotated[
        Path | None, typer.Option("--source", help="Folder with the dataset's files, where the experiment needs any.")
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="How many trainings of each variant.")] = None,
    variant: Annotated[
        list[str] | None, typer.Option("--variant", help="Train only this, and the reference; may be repeated.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Variant to compare the others with; the first by default.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Choose on dev, report on test.")] = Split.DEV,
    smoke: Annotated[bool, typer.Option("--smoke", help="A size that takes seconds, to see that it works.")] = False,
    full: Annotated[bool, typer.Option("--full", help="A size for a machine with accelerators.")] = False,
) -> None:
    """Train variants of one config over several seeds and compare them; the same command goes on."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.experiments import run_experiment

    if smoke and full:
        raise TfsageError("experiment: --smoke and --full are two sizes; give one of them")
    size = "smoke" if smoke else "full" if full else "default"
    run_experiment(name, out, source, seeds, variant or (), reference, split.value, size)
    _done(f"results in {out / f'results_{split.value}.json'}, as Markdown beside it")


@app.command(
    epilog="Example: tfsage probe --embeddings bundles/CURRENT/embeddings --labels labels.parquet --label kind"
)
def probe(
    embeddings: Annotated[Path, typer.Option("--embeddings", help="Parquet file or folder: id, embedding.")],
    labels: Annotated[Path, typer.Option("--labels", help="Parquet file or folder with the same ids.")],
    label: Annotated[str, typer.Option("--label", help="Column of the labels to classify by.")],
    out: Annotated[Path, typer.Option("--out", help="JSON file to write.")],
    text: Annotated[str | None, typer.Option("--text", help="Text column, for the FastText baseline.")] = None,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Column; rows with the same value are never in two folds.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Of the cross-validation.")] = 5,
) -> None:
    """Classify by frozen embeddings, linear and MLP, cross-validated, beside baselines."""
    from tfsage.probe import probe_files, probe_table

    result = probe_files(embeddings, labels, label, out, text, groups, folds)
    console.print(probe_table(result))
    _done(f"results in {out}")


@app.command(
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


@app.command(epilog='Example: tfsage search --root bundles "mid century walnut desk" -k 10')
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


@app.command(epilog="Example: tfsage service --root bundles --data runs/demo/data")
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

    settings = Settings(tuple(address or ()), redis, cache_size, products, data, images, pins, hybrid)
    run_service(root, settings, compare=compare, host=host, port=port)


def _require_published(root: Path) -> None:
    """Finds a mistyped folder out before TensorFlow is loaded."""
    from tfsage.bundle import Bundle

    Bundle.current(root)


def _enrichment(config: Path | None) -> tuple:
    """The sections that enrichment reads; None for their defaults."""
    if config is None:
        return None, None
    from tfsage.config import load_config

    settings = load_config(config)
    return settings.enrich, settings.prepare


def _done(message: str) -> None:
    console.print(Text(message), soft_wrap=True)


def main() -> None:
    """Entry point of `tfsage`."""
    launch(app)


if __name__ == "__main__":
    main()
