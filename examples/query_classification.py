"""Interest classification of queries (OmniSearchSage §5.4): which part of the taxonomy does a query ask for?

    python -m examples.query_classification --run runs/demo --root bundles

A query's label is the category that most of its engagements in dev and test led to, which the towers were not trained
on; queries whose engagements are divided (less than half for one category) are passed over. The embeddings of the
exported query tower are probed beside a FastText-style classifier of the text, at every level of the taxonomy, and with
few labels as with many: what embeddings are worth depends on how many labels there are.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import typer
from rich.console import Console

from export.saved_model import Signature
from tfsage.bundle import Bundle
from tfsage.files import write_text
from tfsage.probe import cross_validate, probe_table
from tfsage.training.run import Run

ACTIONS = {"click": 1.0, "save": 1.0, "add_to_cart": 1.0, "checkout": 1.0}
BATCH = 256


def main(
    run: Annotated[Path, typer.Option(help="The run whose queries are classified.")] = Path("runs/demo"),
    root: Annotated[Path, typer.Option(help="Where its bundle is published.")] = Path("bundles"),
    labelled: Annotated[tuple[int, int], typer.Option(help="How many queries have labels: few, and many.")] = (
        300,
        2000,
    ),
    out: Annotated[Path | None, typer.Option(help="JSON file; RUN/query_classification.json by default.")] = None,
) -> None:
    """Prints a table for every level and number of labels, and writes them as JSON."""
    opened, results = Run.open(run), []
    queries, paths = labelled_queries(opened)
    texts = opened.data.queries("query").texts.gather(queries)
    tower = Signature(Bundle.current(root).query_tower)
    vectors = np.concatenate([tower(query=texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)])
    order = np.random.default_rng(1).permutation(len(queries))
    for level in range(1, max(map(len, paths))):
        for count in labelled:
            rows = [row for row in order[:count] if len(paths[row]) > level]
            label = [" > ".join(paths[row][: level + 1]) for row in rows]
            own = cross_validate({"query tower": vectors[rows]}, label, [texts[row] for row in rows], folds=3)
            results.append({"label": f"level {level + 1} of the taxonomy", **own})
            Console().print(probe_table(results[-1]))
    write_text(out or run / "query_classification.json", json.dumps(results, indent=1) + "\n")


def labelled_queries(run: Run) -> tuple[np.ndarray, list[list[str]]]:
    """Rows of queries, and for each the category it leads to, from the root of the taxonomy down."""
    table = pq.read_table(run.data.folder / "products.parquet", columns=["google_product_category"])
    names, category = np.unique(
        table.column(0).fill_null("").to_numpy(zero_copy_only=False).astype(str), return_inverse=True
    )
    counts: dict[int, np.ndarray] = {}
    for split in ("dev", "test"):
        pairs = run.data.pairs(split, "search", "query", ACTIONS)
        for query, product, count in zip(pairs.query, pairs.product, pairs.count, strict=True):
            counts.setdefault(query, np.zeros(len(names)))[category[product]] += count
    clear = {query: own.argmax() for query, own in sorted(counts.items()) if own.max() > own.sum() / 2}
    clear = {query: best for query, best in clear.items() if names[best]}
    return np.array(list(clear)), [names[best].split(" > ") for best in clear.values()]


if __name__ == "__main__":
    typer.run(main)
