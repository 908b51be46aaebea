"""All experiments by name, and how one is run from beginning to end."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tfsage.console import console
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.experiments.grid import Experiment, cells_of, prepare_experiment, run_cells
from tfsage.experiments.losses import losses_on_home_depot, losses_on_shop
from tfsage.experiments.results import compare
from tfsage.experiments.tables import CAPTION, markdown_table, result_tables, rich_table
from tfsage.files import write_text

EXPERIMENTS: dict[str, Callable[[bool], Experiment]] = {
    "losses/home_depot": losses_on_home_depot,
    "losses/shop": losses_on_shop,
}
"""Name → an experiment at its full or at its smoke size."""


def run_experiment(
    name: str,
    out: str | Path,
    source: str | Path | None = None,
    seeds: int | None = None,
    only: Sequence[str] = (),
    reference: str | None = None,
    split: str = "dev",
    smoke: bool = False,
) -> dict:
    """Trains and evaluates what is not done yet, then compares all that is done.

    Writes OUT/results_SPLIT.json and OUT/results_SPLIT.md beside tables, data and the run folders of the cells.

    Args:
        name: one of `EXPERIMENTS`.
        out: folder of the experiment; a cell that is done there is not trained again.
        source: files that the experiment's data are made of, where it needs any.
        seeds: trainings of each variant; None for as many as the experiment has by itself.
        only: names of variants to train, beside the reference; none for all.
        reference: the variant that the others are compared with; None for the experiment's own.
        split: what to evaluate on; choose on dev, report on test.
        smoke: a size that takes seconds.

    Returns:
        what results_SPLIT.json says (`tfsage.experiments.results.compare`, with the experiment's name).

    Raises:
        TfsageError: there is no such experiment or variant, `out` holds something else, or cells failed (after all
            others are done and the results are written).
    """
    if name not in EXPERIMENTS:
        raise TfsageError(f"experiment: no experiment named {name!r}; there are {', '.join(sorted(EXPERIMENTS))}")
    experiment, out = EXPERIMENTS[name](smoke), Path(out)
    known = {variant.name: variant for variant in experiment.variants}
    reference = reference or experiment.variants[0].name
    if unknown := sorted({*only, reference} - known.keys()):
        raise TfsageError(f"experiment {name}: no variant named {unknown}; there are {', '.join(known)}")
    data = prepare_experiment(experiment, out, None if source is None else Path(source), smoke)
    chosen = [variant for variant in experiment.variants if not only or variant.name in {*only, reference}]
    failed = run_cells(experiment, cells_of(out, chosen, seeds or experiment.seeds), data, split)
    results = {"experiment": name, **_compared(experiment, out, data, reference, split), "failed": failed}
    write_text(out / f"results_{split}.json", json.dumps(results, indent=2) + "\n")
    tables = result_tables(experiment, results)
    write_text(out / f"results_{split}.md", "\n".join([*map(markdown_table, tables), CAPTION + "\n"]))
    for table in tables:
        console.print(rich_table(table))
    console.print(CAPTION)
    if failed:
        raise TfsageError(f"{len(failed)} cells failed: {', '.join(failed)}; the same command tries them again")
    return results


def _compared(experiment: Experiment, out: Path, data: Path, reference: str, split: str) -> dict:
    """All cells that are done, those of earlier commands too."""
    started = [file.parent.name for file in out.glob("cells/*/seed*/config.yaml")]
    most = max((int(name.removeprefix("seed")) for name in started), default=0)
    runs: dict[str, dict[int, Path]] = {}
    for cell in cells_of(out, experiment.variants, most):
        if cell.metrics_file(split).exists():
            runs.setdefault(cell.variant.name, {})[cell.seed] = cell.folder
    return compare(runs, reference, PreparedData(data), experiment.config, experiment.metric, split)
