"""From tables to prepared data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tfsage.commands.options import Before, ConfigFile, OnBadRows, Out, SplitFile, Tables, say_done

commands = typer.Typer()
enrich = typer.Typer(
    help="Add text that others wrote about products and pins, as one more column.", no_args_is_help=True
)
commands.add_typer(enrich, name="enrich")


@commands.command(epilog="Example: tfsage synth --products 2000 --out shop")
def synth(
    products: Annotated[int, typer.Option("--products", min=1, help="How many products the shop sells.")],
    out: Out,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same shop.")] = 1,
    days: Annotated[int, typer.Option("--days", min=1, help="How many days of engagement there are.")] = 90,
) -> None:
    """Write a synthetic shop, whose true relevance is known, as Parquet tables."""
    from tfsage.data.synthetic import write_shop

    write_shop(out, products=products, seed=seed, days=days)
    say_done(f"tables in {out}")


@commands.command("import", epilog="Example: tfsage import home_depot --source downloads/home_depot --out tables")
def import_(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    source: Annotated[Path, typer.Option("--source", help="Folder with the dataset's files.")],
    out: Out,
) -> None:
    """Turn a known public dataset into tfsage tables."""
    from tfsage.data.importers import import_dataset

    import_dataset(name, source, out)
    say_done(f"tables in {out}")


@enrich.command("boards", epilog="Example: tfsage enrich boards --tables shop --out shop_boards")
def enrich_boards(tables: Tables, out: Out, config: SplitFile = None, before: Before = None) -> None:
    """Add `board_titles`: the most telling titles of the boards that a product or pin was saved to."""
    from tfsage.data.enrichment import jobs

    jobs.enrich_boards(tables, out, *_enrichment(config), before)
    say_done(f"tables in {out}")


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
    say_done(f"tables in {out}")


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
    say_done(f"tables in {out}")


@commands.command(epilog="Example: tfsage neighbours --tables shop --out shop_neighbours")
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
    say_done(f"tables in {out}")


@commands.command(epilog="Example: tfsage prepare --tables shop --config configs/demo.yaml --out prepared")
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
    say_done(f"prepared data in {out}, what was dropped and why in {out / 'report.json'}")


@commands.command(epilog="Example: tfsage audit --data prepared")
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


def _enrichment(config: Path | None) -> tuple:
    """The sections that enrichment reads; None for their defaults."""
    if config is None:
        return None, None
    from tfsage.config import load_config

    settings = load_config(config)
    return settings.enrich, settings.prepare
