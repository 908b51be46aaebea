"""The main job, end to end: tables in, ranked products out. Every step is a command that you can run by itself.

python -m examples.demo                  on a synthetic shop
python -m examples.demo --tables DIR     on tables of yours (products, queries, engagements, ... as Parquet)
"""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer
from rich.console import Console

from tfsage.evaluation.table import metrics_table

TFSAGE = [sys.executable, "-m", "tfsage.cli"]
SYNTHETIC_SEARCHES = ("mid century walnut desk", "blue striped cotton rug", "modern brass lamp")

console = Console()


def main(
    tables: Annotated[Path | None, typer.Option(help="Parquet tables; a synthetic shop when left out.")] = None,
    config: Annotated[Path, typer.Option(help="The config of the run.")] = Path("configs/demo.yaml"),
    run: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    root: Annotated[Path, typer.Option(help="Where the bundle is published.")] = Path("bundles"),
    products: Annotated[int, typer.Option(help="Size of the synthetic shop.")] = 5000,
) -> None:
    """Runs the whole job; a step that an earlier, interrupted demo has finished is not repeated."""
    start = time.perf_counter()
    searches = _searches(tables)
    data = run / "data"
    if tables is None:
        tables = run / "tables"
        if not tables.exists():
            _step("A synthetic shop", *TFSAGE, "synth", "--products", products, "--out", tables)
    if not data.exists():
        _step("Prepare the tables", *TFSAGE, "prepare", "--tables", tables, "--config", config, "--out", data)
    _step("Train", *TFSAGE, "train", "--data", data, "--config", config, "--run", run)
    _step("Evaluate", *TFSAGE, "evaluate", "--run", run)
    for job in ("towers", "catalog", "index"):
        _step(f"Export: {job}", sys.executable, "-m", f"export.{job}", "--run", run)
    _step("Publish", sys.executable, "-m", "export.publish", "--run", run, "--root", root)
    console.rule("[bold]The result[/bold]", align="left")
    console.print(metrics_table(json.loads((run / "metrics.json").read_text())))
    for text in searches:
        _step(f"Search: {text}", *TFSAGE, "search", "--root", root, text, "-k", "5")
    console.print(f"\nReport: {run / 'report.html'}\nBundle: {root / 'CURRENT'} → {(root / 'CURRENT').resolve().name}")
    console.print(f"Serve it: tfsage serve --root {root}\nTook {time.perf_counter() - start:.0f} seconds.")


def _searches(tables: Path | None) -> tuple[str, ...]:
    """Three example queries: of the synthetic shop, or the first of the user's own."""
    if tables is None:
        return SYNTHETIC_SEARCHES
    file = next(iter([*tables.glob("queries.parquet"), *sorted(tables.glob("queries/*.parquet"))]), None)
    if file is None:
        return ()
    return tuple(pq.ParquetFile(file).iter_batches(3, columns=["text"]).__next__().column(0).to_pylist())


def _step(title: str, *command) -> None:
    words = [str(word) for word in command]
    shown = shlex.join(words).replace(shlex.join(TFSAGE), "tfsage").replace(sys.executable, "python")
    console.rule(f"[bold]{title}[/bold]", align="left")
    console.print(f"[dim]$ {shown}[/dim]", highlight=False)
    status = subprocess.run(words, env={**os.environ, "PYTHONUNBUFFERED": "1"}).returncode
    if status:
        raise typer.Exit(status)


if __name__ == "__main__":
    typer.run(main)
