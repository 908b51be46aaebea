"""What a person sees while a command works: one Rich console on standard error, and one kind of progress bar."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)
"""Messages and progress go to standard error, so that standard output holds only results."""


def progress() -> Progress:
    """A progress bar with count, elapsed and remaining time; it leaves no trace when the output is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not sys.stderr.isatty(),
    )
