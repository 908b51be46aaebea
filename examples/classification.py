"""Reuse in classification (ItemSage §3.6): what the embeddings of fashion products know of their type and colour.

    python -m examples.classification --source FOLDER [--products N] [--hide-label-words]

A run on pictures and titles, which never sees a label: the two text fields that hold article type and base colour are
left out of its towers. It is trained as `configs/fashion_products.yaml` says otherwise. Then every product is embedded
by the exported tower from its picture and text, from its picture alone, and from its text alone; each is probed beside
the frozen image embedding that the tower started from and a FastText-style classifier of the title. Products with the
same title or the very same picture are never in two folds.

Most titles name the colour, and many the type. With `--hide-label-words` every word of any label is taken out of the
texts that are embedded and classified (synonyms stay).
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import Stemmer
import typer
import yaml
from rich.console import Console
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from export.embed_catalog import embed_record_batches, vectors_of
from tfsage.bundle import Bundle
from tfsage.data.importers.files import read_tsv
from tfsage.files import write_text
from tfsage.probe import cross_validate, probe_table

CONFIG = Path("configs/fashion_products.yaml")
TEXT = ["title", "description"]
LABELS = ("article_type", "base_colour")
IMAGES = "image_embeddings"
WORD = re.compile(r"\w+")


def main(
    source: Annotated[Path, typer.Option(help="The folder with the dataset's files.")],
    run: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/classification"),
    steps: Annotated[int | None, typer.Option(help="Of training; those of the config by default.")] = None,
    products: Annotated[int | None, typer.Option(help="Probe this many products only, drawn at random.")] = None,
    hide_label_words: Annotated[bool, typer.Option("--hide-label-words", help="In what is probed.")] = False,
    folds: Annotated[int, typer.Option(help="Of the cross-validation.")] = 5,
) -> None:
    """Trains, exports, embeds and probes; a step that an earlier call has finished is not repeated."""
    bundle = _bundle(source, run, steps)
    table = pq.read_table(run / "tables" / "products.parquet")
    if products is not None:
        table = table.take(np.sort(np.random.default_rng(1).permutation(len(table))[:products]))
    columns = dict.fromkeys([*LABELS, "image_md5"], pa.string())
    known = read_tsv(source / "products.tsv", {"product_id": pa.int64(), **columns})
    place = {product: row for row, product in enumerate(known["product_id"].to_pylist())}
    known = known.take([place[product] for product in table["product_id"].to_pylist()])
    groups = _same_title_or_picture(table["title"].to_pylist(), known["image_md5"].to_pylist())
    if hide_label_words:
        names = {name for label in LABELS for name in known[label].to_pylist()}
        for column in TEXT:
            hidden = pa.array(_without_words_of(names, table[column].to_pylist()))
            table = table.set_column(table.schema.get_field_index(column), column, hidden)
    embeddings = {"image + text": _embed(bundle, table)}
    embeddings["image alone"] = _embed(bundle, table.select(["product_id", IMAGES]))
    embeddings["text alone"] = _embed(bundle, table.drop_columns([IMAGES]))
    embeddings["frozen image"] = np.stack([images[0] for images in table[IMAGES].to_pylist()]).astype(np.float32)
    titles = table["title"].to_pylist()
    for label in LABELS:
        file = run / f"probe_{label}_{len(table)}{'_hidden' if hide_label_words else ''}.json"
        if not file.exists():
            result = cross_validate(embeddings, known[label].to_pylist(), titles, groups, folds)
            write_text(file, json.dumps({"label": label, **result}, indent=1) + "\n")
        Console().print(probe_table(json.loads(file.read_text())))


def _without_words_of(names: set[str], texts: list[str]) -> list[str]:
    """The texts without the words of the names, in any inflection."""
    stem = Stemmer.Stemmer("english").stemWord
    hidden = {stem(word) for name in names for word in WORD.findall(name.casefold())}
    return [" ".join(word for word in WORD.findall(text) if stem(word.casefold()) not in hidden) for text in texts]


def _same_title_or_picture(titles: list[str], pictures: list[str]) -> np.ndarray:
    """int [products]: products that are joined by a chain of equal titles and pictures have one number."""
    title, picture = (np.unique(own, return_inverse=True)[1] for own in ([t.casefold() for t in titles], pictures))
    graph = coo_array((np.ones(len(title)), (title, picture + title.max() + 1)))
    graph.resize(2 * [picture.max() + title.max() + 2])
    return connected_components(graph, directed=False)[1][title]


def _bundle(source: Path, run: Path, steps: int | None) -> Bundle:
    """The exported tower of a run without the fields that hold the labels."""
    run.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load(CONFIG.read_text())
    config["towers"]["product"]["text_fields"] = TEXT
    if steps is not None:
        config["training"]["phases"] = [{"steps": steps}]
    write_text(run / "labels_left_out.yaml", yaml.safe_dump(config))
    tables, data, config_file = run / "tables", run / "data", run / "labels_left_out.yaml"
    if not tables.exists():
        _run("tfsage.cli", "import", "fashion_products", "--source", source, "--out", tables)
    if not data.exists():
        _run("tfsage.cli", "prepare", "--tables", tables, "--config", config_file, "--out", data)
    _run("tfsage.cli", "train", "--data", data, "--config", config_file, "--run", run)
    _run("export.towers", "--run", run)
    return Bundle.open(run / "bundle")


def _embed(bundle: Bundle, products: pa.Table) -> np.ndarray:
    """float32 [products, dimension]; what the table lacks is empty to the tower."""
    manifest = bundle.manifest
    batches = embed_record_batches(
        products.to_batches(max_chunksize=1024), str(bundle.product_tower), manifest.image_column, manifest.space_id
    )
    return vectors_of(pa.Table.from_batches(batches))


def _run(*words) -> None:
    done = subprocess.run([sys.executable, "-m", *map(str, words)])
    if done.returncode:
        raise typer.Exit(done.returncode)


if __name__ == "__main__":
    typer.run(main)
