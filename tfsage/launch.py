"""How a command of the project starts, and how it fails."""

import errno
import sys

import typer
from rich.text import Text

from tfsage.console import console
from tfsage.errors import TfsageError

_MAKE_ROOM = "make room there, or write to another disk"
_ALLOW = "check its owner and permissions, or choose another folder"
_REMEDIES = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.EROFS: _ALLOW,
}


def launch(app: typer.Typer) -> None:
    """Runs a command line; a problem that the user can mend is one message on standard error and an exit status.

    That is a `TfsageError` (its status is mostly 1), or the operating system's refusal to write or read (full disk,
    permissions; status 1). Any other exception is a mistake of ours and keeps its traceback; Ctrl-C ends the command
    with status 130.
    """
    try:
        app()
    except TfsageError as error:
        _fail(str(error), error.exit_status)
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        _fail(f"{error.filename or 'output'}: {error.strerror}; {_REMEDIES[error.errno]}")


def _fail(message: str, status: int = 1) -> None:
    console.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    sys.exit(status)
