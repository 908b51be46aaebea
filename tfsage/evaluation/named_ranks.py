"""Rankings that came from elsewhere: read by name, for exactly the pairs that are asked."""

from pathlib import Path

import numpy as np

from tfsage.errors import TfsageError
from tfsage.evaluation.frozen import TASKS, FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.ranks import PairRanks

FOLDER = "baselines"
"""Within a run: one folder for each ranking, with vectors/SPLIT in it as in a run."""


def named_ranks(run: Path, split: str, task: str, judgements: Judgements) -> dict[str, PairRanks]:
    """The ranks of the model of every folder RUN/baselines/NAME that has ranked the task.

    Args:
        run: a run folder.
        split: dev or test.
        task: name of the task.
        judgements: the pairs that are asked.

    Raises:
        TfsageError: a ranking is of other pairs than those.
    """
    found = {}
    for marker in sorted(run.glob(f"{FOLDER}/*/vectors/{split}/{TASKS}")):
        vectors, name = FrozenVectors(marker.parent), marker.parents[2].name
        if task not in vectors.tasks:
            continue
        if not same_question(judgements, vectors.judgements(task)):
            raise TfsageError(
                f"{marker.parents[2]}: ranked other pairs of {task} than those of the run; delete the folder, and make "
                f"it again with `tfsage baselines --run {run}`"
            )
        found[name] = vectors.ranks(task)["model"]
    return found


def same_question(one: Judgements, other: Judgements) -> bool:
    """Whether two judgements ask about the same pairs, among the same candidates."""
    names = ("query", "product", "weight", "distractors", "excluded_query", "excluded_product")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
