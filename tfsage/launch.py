"""How a command of the project starts, and how it fails."""

import sys

import typer
from rich.text import Text

from tfsage.console import console
from tfsage.errors import TfsageError


def launch(app: typer.Typer) -> None:
    """Runs a command line; a problem that the user can mend is one message on standard error and exit status 1.

    That is a `TfsageError`, or the operating system's refusal to read or write a file (permission, full disk). Any
    other exception is a mistake of ours and keeps its traceback; Ctrl-C ends the command with status 130.
    """
    try:
        app()
    except TfsageError as error:
        _fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")


def _fail(message: str) -> None:
    console.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    sys.exit(1)
