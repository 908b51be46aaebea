"""Options that several commands have, and how a command ends."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tfsage.console import console


class OnBadRows(StrEnum):
    FAIL = "fail"
    QUARANTINE = "quarantine"


class Split(StrEnum):
    DEV = "dev"
    TEST = "test"


Out = Annotated[Path, typer.Option("--out", help="Folder to write; it appears when it is complete.")]
ConfigFile = Annotated[Path, typer.Option("--config", help="YAML file that describes the run.")]
Run = Annotated[Path, typer.Option("--run", help="Run folder: config, checkpoints, metrics.")]
Root = Annotated[Path, typer.Option("--root", help="Folder of published bundles, with CURRENT in it.")]
Tables = Annotated[Path, typer.Option("--tables", help="Folder of Parquet tables.")]
SplitFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file whose `prepare.split` and `enrich` count; defaults without.")
]
Before = Annotated[
    datetime | None,
    typer.Option(
        "--before", help="Only what happened before this moment is known; by default what the split trains on."
    ),
]


def say_done(message: str) -> None:
    """The last line of a command: what it has written, and where."""
    console.print(Text(message), soft_wrap=True)
