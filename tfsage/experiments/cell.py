"""One cell, in a process of its own: `python -m tfsage.experiments.cell CONFIG DATA RUN SPLIT`."""

from pathlib import Path
from typing import Annotated

import typer

from tfsage.launch import launch

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    config: Annotated[Path, typer.Argument()],
    data: Annotated[Path, typer.Argument()],
    run: Annotated[Path, typer.Argument()],
    split: Annotated[str, typer.Argument()],
) -> None:
    """Train a run to its end, from where it stands, and evaluate it."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from tfsage.config import load_config
    from tfsage.evaluation import evaluate_run
    from tfsage.training import train

    train(data, load_config(config), run)
    evaluate_run(run, split)


if __name__ == "__main__":
    launch(app)
