"""SearchSage → ItemSage → OmniSearchSage on a synthetic shop, each from the bundle of the one before.

python -m examples.chain              some minutes on two cores
python -m examples.chain --smoke      a few steps of each, to see it run

1. SearchSage learns queries in the space of the frozen embeddings of pins and product images.
2. Its exported query tower embeds all queries: these are the frozen query side of ItemSage.
3. ItemSage's exported product embeddings become a column of the products: a feature of OmniSearchSage, and what one of
   its compatibility encoders stands for.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

CONFIGS = Path(__file__).parents[1] / "configs" / "chain"

console = Console()


def main(
    run: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("runs/chain"),
    products: Annotated[int, typer.Option(help="Size of the synthetic shop.")] = 2000,
    smoke: Annotated[bool, typer.Option("--smoke", help="A tiny shop, and a few steps of each model.")] = False,
) -> None:
    """Runs the whole chain; a step that an earlier, interrupted call has finished is not repeated."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from export.attach_embeddings import attach_embeddings
    from tfsage.data.synthetic import write_shop

    start = time.perf_counter()
    shop = run / "shop"
    if not shop.exists():
        write_shop(shop, 200 if smoke else products)

    searchsage = _model("searchsage", shop, run, smoke)
    tables = run / "tables_itemsage"
    if not tables.exists():
        attach_embeddings(searchsage, shop, tables, {"queries": "embedding"})

    itemsage = _model("itemsage", tables, run, smoke)
    tables, before = run / "tables_omnisearchsage", tables
    if not tables.exists():
        attach_embeddings(itemsage, before, tables, {"products": "itemsage"})

    _model("omnisearchsage", tables, run, smoke)
    _show(run)
    console.print(f"Took {time.perf_counter() - start:.0f} seconds.")


def _model(name: str, tables: Path, folder: Path, smoke: bool):
    """Prepares the tables, trains and evaluates a model, and exports its towers and the embeddings of the products.

    Returns:
        its bundle.
    """
    from export.embed_catalog import embed_catalog
    from export.save_towers import save_towers
    from tfsage.config import load_config
    from tfsage.data.prepare import prepare
    from tfsage.evaluation import evaluate_run
    from tfsage.training import train
    from tfsage.training.run import Run

    console.rule(f"[bold]{name}[/bold]", align="left")
    config = load_config(CONFIGS / f"{name}.yaml")
    config = _smaller(config) if smoke else config
    data, run = folder / f"data_{name}", folder / name
    if not data.exists():
        prepare(tables, config, data)
    train(data, config, run)
    if not (run / "metrics.json").exists():
        evaluate_run(run)
    bundle = save_towers(Run.open(run), run / "bundle")
    return embed_catalog(bundle, data / "products.parquet", config.export.batch_size)


def _smaller(config):
    """The same towers and tasks for a few small steps."""
    training = {**config.training.model_dump(), "batch_size": 32, "phases": [{"steps": 4}], "checkpoint_every": 2}
    evaluation = {**config.evaluation.model_dump(), "bootstrap": 100, "baselines": ["random"]}
    return type(config).model_validate({**config.model_dump(), "training": training, "evaluation": evaluation})


def _show(run: Path) -> None:
    """What OmniSearchSage and SearchSage find by the frozen embeddings of pins, and by learned ones."""
    from tfsage.evaluation.table import metrics_table

    for name in ("searchsage", "itemsage", "omnisearchsage"):
        console.rule(f"[bold]{name}[/bold]: recall on test", align="left")
        console.print(metrics_table(json.loads((run / name / "metrics.json").read_text())))


if __name__ == "__main__":
    typer.run(main)
