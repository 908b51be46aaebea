"""`python -m export.retriever`: query tower and index in one SavedModel, beside the bundle; an option, not a step.

The signature takes query: string [queries] and gives ids: string [queries, k] and scores: float32 [queries, k]. For
those whose model server has ScaNN's operations; what else it costs is in docs/reuse.md.
"""

from pathlib import Path
from typing import Annotated

import typer

from export.command import BundleFolder, bundle_folder, done, make_app
from tfsage.launch import launch

app = make_app()


@app.command(epilog="Example: python -m export.retriever --run runs/demo")
def main(
    run: Annotated[Path, typer.Option("--run", help="Run folder that `tfsage train` wrote.")],
    bundle: BundleFolder = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; RUN/retriever by default.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Products per query, fixed in what is saved.")] = 10,
    leaves: Annotated[
        int | None, typer.Option("--leaves", min=1, help="Of the tree; √products by default.", show_default=False)
    ] = None,
) -> None:
    """Save query tower and ScaNN index as one SavedModel, for an image with ScaNN's operations."""
    from tfsage.quiet import quiet_keras_nlp

    folder, out = bundle_folder(run, bundle), out or run / "retriever"
    quiet_keras_nlp()
    from export.save_retriever import save_retriever
    from export.tune_index import read_embeddings
    from export.tuning_queries import held_out_queries, perturbed_products
    from tfsage.bundle import Bundle
    from tfsage.training.run import Run

    opened, made = Run.open(run), Bundle.open(folder)
    queries = held_out_queries(opened, made)
    if not queries.tuning:
        queries = perturbed_products(read_embeddings(made)[0])
    recall = save_retriever(made, queries, opened.config.export.recall_target, k, out, leaves)
    done(f"retriever with recall@{k} {recall:.3f} against exact search in {out}")


if __name__ == "__main__":
    launch(app)
