"""`python -m export.catalog`: embeds a catalog with the exported product tower."""

from pathlib import Path
from typing import Annotated

import typer

from export.command import BundleFolder, RunFolder, bundle_folder, done, make_app
from tfsage.errors import TfsageError
from tfsage.launch import launch

app = make_app()


@app.command(epilog="Example: python -m export.catalog --run runs/demo")
def main(
    run: RunFolder = None,
    bundle: BundleFolder = None,
    products: Annotated[
        Path | None, typer.Option("--products", help="Products table (Parquet); the run's own by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file for these products alone, for `tfsage service --added`.")
    ] = None,
) -> None:
    """Embed the catalog, Parquet to Parquet; the same command goes on where a stopped one left off.

    With --out the bundle stays as it is, and may be a published one.
    """
    from tfsage.quiet import quiet_tensorflow

    folder = bundle_folder(run, bundle)
    quiet_tensorflow()
    from export.embed_catalog import embed_catalog, embed_products
    from tfsage.bundle import Bundle
    from tfsage.config import ExportConfig
    from tfsage.training.run import Run

    opened = None if run is None else Run.open(run)
    if products is None:
        if opened is None:
            raise TfsageError("which catalog? Give --products FILE, or --run RUN for the one it was trained on")
        products = opened.data.folder / "products.parquet"
    settings = ExportConfig() if opened is None else opened.config.export
    if out is not None:
        count = embed_products(Bundle.open(folder), products, out, settings.batch_size)
        done(f"{count:,} products embedded in {out}")
        return
    made = embed_catalog(Bundle.open(folder), products, settings.batch_size)
    done(f"{made.manifest.products:,} products embedded in {made.embeddings}")


if __name__ == "__main__":
    launch(app)
