"""All experiments by name, and how one is run from beginning to end."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tfsage.console import console
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.experiments.grid import Experiment, Size, cells_of, prepare_experiment, run_cells
from tfsage.experiments.itemsage import itemsage_table_2, itemsage_table_3
from tfsage.experiments.losses import losses_on_home_depot, losses_on_shop
from tfsage.experiments.omnisearchsage import (
    omnisearchsage_table_3,
    omnisearchsage_table_4,
    omnisearchsage_table_5,
    omnisearchsage_table_6,
)
from tfsage.experiments.page import render_results
from tfsage.experiments.paper_results import judge, paper_tables
from tfsage.experiments.results import compare
from tfsage.experiments.tables import CAPTION, markdown_table, result_tables, rich_table
from tfsage.files import write_text

EXPERIMENTS: dict[str, Callable[[Size], Experiment]] = {
    "itemsage/table2": itemsage_table_2,
    "itemsage/table3": itemsage_table_3,
    "losses/home_depot": losses_on_home_depot,
    "losses/shop": losses_on_shop,
    "omnisearchsage/table3": omnisearchsage_table_3,
    "omnisearchsage/table4": omnisearchsage_table_4,
    "omnisearchsage/table5": omnisearchsage_table_5,
    "omnisearchsage/table6": omnisearchsage_table_6,
}
"""Name → an experiment at one of its sizes."""


def run_experiment(
    name: str,
    out: str | Path,
    source: str | Path | None = None,
    seeds: int | None = None,
    only: Sequence[str] = (),
    reference: str | None = None,
    split: str = "dev",
    size: str = Size.DEFAULT,
) -> dict:
    """Trains and evaluates what is not done yet, then compares all that is done.

    Writes OUT/results_SPLIT.json, .md and .html beside tables, data and the run folders of the cells.

    Args:
        name: one of `EXPERIMENTS`.
        out: folder of the experiment; a cell that is done there is not trained again.
        source: files that the experiment's data are made of, where it needs any.
        seeds: trainings of each variant; None for as many as the experiment has by itself.
        only: names of variants to train, beside the reference; none for all.
        reference: the variant that the others are compared with; None for the experiment's own.
        split: what to evaluate on; choose on dev, report on test.
        size: smoke, default or full.

    Returns:
        what results_SPLIT.json says (`tfsage.experiments.results.compare`, with the experiment's name, and "paper",
        see `tfsage.experiments.paper_results.judge`, where there is one).

    Raises:
        TfsageError: there is no such experiment or variant, `out` holds something else, or cells failed (after all
            others are done and the results are written).
    """
    if name not in EXPERIMENTS:
        raise TfsageError(f"experiment: no experiment named {name!r}; there are {', '.join(sorted(EXPERIMENTS))}")
    experiment, out = EXPERIMENTS[name](Size(size)), Path(out)
    known = {variant.name: variant for variant in experiment.variants}
    reference = reference or experiment.variants[0].name
    if unknown := sorted({*only, reference} - known.keys()):
        raise TfsageError(f"experiment {name}: no variant named {unknown}; there are {', '.join(known)}")
    data = prepare_experiment(experiment, out, None if source is None else Path(source), Size(size))
    chosen = [variant for variant in experiment.variants if not only or variant.name in {*only, reference}]
    failed = run_cells(experiment, cells_of(out, chosen, seeds or experiment.seeds), data, split)
    runs, prepared = _done(experiment, out, split), PreparedData(data)
    results = {
        "experiment": name,
        **compare(runs, reference, prepared, experiment.config, experiment.metric, split),
        "failed": failed,
    }
    tables = result_tables(experiment, results)
    if experiment.paper:
        results["paper"] = judge(experiment, runs, reference, prepared, split)
        tables += paper_tables(experiment.paper, results["paper"])
    write_text(out / f"results_{split}.json", json.dumps(results, indent=2) + "\n")
    write_text(out / f"results_{split}.md", "\n".join([*map(markdown_table, tables), CAPTION + "\n"]))
    write_text(out / f"results_{split}.html", render_results(results, tables))
    for table in tables:
        console.print(rich_table(table))
    console.print(CAPTION)
    if failed:
        raise TfsageError(f"{len(failed)} cells failed: {', '.join(failed)}; the same command tries them again")
    return results


def _done(experiment: Experiment, out: Path, split: str) -> dict[str, dict[int, Path]]:
    """The run folders of all cells that are done, those of earlier commands too."""
    started = [file.parent.name for file in out.glob("cells/*/seed*/config.yaml")]
    most = max((int(name.removeprefix("seed")) for name in started), default=0)
    runs: dict[str, dict[int, Path]] = {}
    for cell in cells_of(out, experiment.variants, most):
        if cell.metrics_file(split).exists():
            runs.setdefault(cell.variant.name, {})[cell.seed] = cell.folder
    return runs
