"""The `tfsage` command. Its parts import TensorFlow inside the commands that need it, so that help is instant."""

from typing import Annotated

import typer

import tfsage
from tfsage.commands import data, evaluation, serving, training
from tfsage.launch import launch

app = typer.Typer(
    help="Product, pin and query embeddings for shopping search: from tables to an answered query.",
    epilog="Start with: tfsage synth --products 2000 --out shop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for family in (data, training, evaluation, serving):
    app.add_typer(family.commands)


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


def main() -> None:
    """Entry point of `tfsage`."""
    launch(app)


if __name__ == "__main__":
    main()
