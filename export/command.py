"""What the export commands share: their options, and what they say at the end."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tfsage.console import console
from tfsage.errors import TfsageError

RunFolder = Annotated[Path | None, typer.Option("--run", help="Run folder that `tfsage train` wrote.")]
BundleFolder = Annotated[
    Path | None, typer.Option("--bundle", help="Bundle being made; RUN/bundle by default.", show_default=False)
]


def make_app() -> typer.Typer:
    """An application with one command, set up as `tfsage` itself is."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def bundle_folder(run: Path | None, bundle: Path | None) -> Path:
    """The folder of the bundle that is being made.

    Raises:
        TfsageError: neither was given.
    """
    if bundle is None and run is None:
        raise TfsageError("which bundle? Give --run RUN, or --bundle DIR")
    return bundle if bundle is not None else run / "bundle"


def done(message: str) -> None:
    """Says what a command has made."""
    console.print(Text(message), soft_wrap=True)
