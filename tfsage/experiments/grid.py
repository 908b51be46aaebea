"""A grid of training runs, variants × seeds: each cell a run folder, trained and evaluated once."""

import json
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from rich.text import Text

from tfsage.config import Config, load_config, save_config, with_seed
from tfsage.console import console
from tfsage.data.prepare import prepare
from tfsage.errors import TfsageError
from tfsage.experiments.claims import Paper
from tfsage.files import write_text
from tfsage.fresh_process import run_module


class Size(StrEnum):
    """How much data and training: seconds to see that it works, about 40 minutes on two cores, or a real machine's."""

    SMOKE = "smoke"
    DEFAULT = "default"
    FULL = "full"


class Variant(NamedTuple):
    """What one row of the table changes.

    Attributes:
        name: of the row, and of the folder of its runs.
        about: in a few words.
        changes: sections of the config, as nested dictionaries: what they name replaces what the experiment's config
            says. A section of another `kind` replaces the whole section.
    """

    name: str
    about: str
    changes: dict


class Experiment(NamedTuple):
    """One config, changed in several ways.

    Attributes:
        name: FAMILY/NAME.
        about: what it finds out, in one line.
        config: what all variants have in common.
        variants: the first is what the others are compared with.
        seeds: how many trainings of each variant.
        metric: `recall` (engagement-weighted, by pair) or `query_recall` (the mean over queries), see
            `tfsage.evaluation.recall`.
        write_tables: makes the tables in a folder that does not exist, from the source that the user names, if any.
        paper: the table of a paper whose variants these are, or None.
    """

    name: str
    about: str
    config: Config
    variants: tuple[Variant, ...]
    seeds: int
    metric: str
    write_tables: Callable[[Path, Path | None], None]
    paper: Paper | None = None

    def config_of(self, variant: Variant, seed: int) -> Config:
        """The config of one cell."""
        changed = Config.model_validate(_merged(self.config.model_dump(), variant.changes))
        return with_seed(changed, seed)


class Cell(NamedTuple):
    """One training: its run folder is OUT/cells/VARIANT/seedN, its config OUT/cells/VARIANT/seedN.yaml."""

    variant: Variant
    seed: int
    folder: Path

    def metrics_file(self, split: str) -> Path:
        """What evaluating a run writes last."""
        return self.folder / ("metrics.json" if split == "test" else f"metrics_{split}.json")


def prepare_experiment(experiment: Experiment, out: Path, source: Path | None, size: Size) -> Path:
    """The data that every cell is trained on: OUT/data, made when it is missing.

    Raises:
        TfsageError: the folder holds another experiment, or one of another size.
    """
    described, own = out / "experiment.json", {"experiment": experiment.name, "size": size}
    if described.exists():
        found = json.loads(described.read_text(encoding="utf-8"))
        if found != own:
            raise TfsageError(f"{out}: holds {found}, not {own}; choose another --out folder")
    out.mkdir(parents=True, exist_ok=True)
    write_text(described, json.dumps(own) + "\n")
    tables, data = out / "tables", out / "data"
    if not data.exists():
        if not tables.exists():
            experiment.write_tables(tables, source)
        prepare(tables, experiment.config, data)
    return data


def cells_of(out: Path, variants: Sequence[Variant], seeds: int) -> list[Cell]:
    """All cells, one seed after the other, so that a grid that is stopped early has compared all variants."""
    return [
        Cell(variant, seed, out / "cells" / variant.name / f"seed{seed}")
        for seed in range(1, seeds + 1)
        for variant in variants
    ]


def run_cells(experiment: Experiment, cells: Sequence[Cell], data: Path, split: str) -> dict[str, str]:
    """Trains and evaluates what is not done, one line of progress per cell; a cell that fails does not stop the rest.

    Returns:
        what failed: VARIANT/seedN → the last line of the error.

    Raises:
        TfsageError: a cell that is done was trained with another config.
    """
    failed, spent = {}, []
    for cell in cells:
        _check_config(cell, experiment.config_of(cell.variant, cell.seed))
    waiting = [cell for cell in cells if not cell.metrics_file(split).exists()]
    if done := len(cells) - len(waiting):
        console.print(f"{done} of {len(cells)} cells are done")
    for place, cell in enumerate(waiting, start=done + 1):
        title, start = f"{place:>{len(str(len(cells)))}}/{len(cells)} {cell.variant.name} seed {cell.seed}", time.time()
        try:
            run_cell(experiment.config_of(cell.variant, cell.seed), data, cell.folder, split)
        except TfsageError as error:
            failed[f"{cell.variant.name}/seed{cell.seed}"] = last = str(error).splitlines()[-1].strip()
            _say(f"{title} · failed: {last}")
            continue
        spent.append(time.time() - start)
        left = (len(cells) - place) * sum(spent) / len(spent)
        _say(f"{title} · {_headline(experiment, cell, split)} · {spent[-1]:.0f} s · {left / 60:.0f} min left")
    return failed


def run_cell(config: Config, data: Path, folder: Path, split: str) -> None:
    """Trains a run to its end, from where it stands, and evaluates it; its config lies beside its folder.

    A process of its own gives all memory back, and keeps from the other cells whatever happens to this one.

    Raises:
        TfsageError: it failed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.with_suffix(".yaml")
    save_config(config, file)
    run_module("tfsage.experiments.cell", str(file), str(data), str(folder), split, purpose="the training")


def _check_config(cell: Cell, config: Config) -> None:
    saved = cell.folder / "config.yaml"
    if saved.exists() and load_config(saved) != config:
        raise TfsageError(
            f"{cell.folder}: was trained with another config than this version of the experiment has; "
            "choose another --out folder, or delete this one to train it again"
        )


def _headline(experiment: Experiment, cell: Cell, split: str) -> str:
    tasks = json.loads(cell.metrics_file(split).read_text(encoding="utf-8"))["tasks"]
    metric = f"{experiment.metric}@{experiment.config.evaluation.k[0]}"
    return f"{metric} {sum(task[metric]['value'] for task in tasks.values()) / len(tasks):.4f}"


def _merged(base: dict, changes: dict) -> dict:
    if "kind" in changes and changes["kind"] != base.get("kind"):
        return changes
    both = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = _merged(both[key], value) if nested else value
    return both


def _say(line: str) -> None:
    console.print(Text(line), soft_wrap=True)
