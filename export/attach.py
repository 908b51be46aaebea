"""`python -m export.attach`: the embeddings of a bundle as columns of tables, for the next model to read."""

from pathlib import Path
from typing import Annotated

import typer

from export.command import done, make_app
from tfsage.errors import TfsageError
from tfsage.launch import launch

app = make_app()


@app.command(
    epilog="Example: python -m export.attach --bundle bundles/CURRENT --tables shop --queries embedding --out new"
)
def main(
    bundle: Annotated[Path, typer.Option("--bundle", help="The bundle; bundles/CURRENT is the published one.")],
    tables: Annotated[Path, typer.Option("--tables", help="Folder of Parquet tables.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the tables with the new columns.")],
    queries: Annotated[
        str | None, typer.Option("--queries", help="Column of the queries: their texts through the query tower.")
    ] = None,
    products: Annotated[
        str | None, typer.Option("--products", help="Column of the products: their embeddings in the bundle.")
    ] = None,
    pins: Annotated[
        str | None, typer.Option("--pins", help="Column of the pins: their rows through the product tower.")
    ] = None,
) -> None:
    """Write tables with the embeddings of a bundle beside what they hold: frozen queries, features, targets."""
    from tfsage.quiet import quiet_tensorflow

    asked = {"queries": queries, "products": products, "pins": pins}
    columns = {table: column for table, column in asked.items() if column is not None}
    if not columns:
        raise TfsageError("which column? Give --queries COLUMN, --products COLUMN or --pins COLUMN")
    quiet_tensorflow()
    from export.attach_embeddings import attach_embeddings
    from tfsage.bundle import Bundle

    for table, (rows, without) in attach_embeddings(Bundle.open(bundle), tables, out, columns).items():
        missing = f", {without:,} of them without" if without else ""
        done(f"{table}.{columns[table]}: {rows:,} rows{missing}, in {out}")


if __name__ == "__main__":
    launch(app)
