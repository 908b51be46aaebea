"""How many pairs of each task a batch has."""

from collections.abc import Sequence

import numpy as np

from tfsage.config import TaskConfig, TrainingConfig


class Shares:
    """The pairs of each task in the batch of any step, by the shares of the tasks and the phases of training.

    Args:
        tasks: those that have pairs.
        drawn_by: for each task the place of the one whose pairs it has: itself, or that of its `pairs_of`. Such pairs
            are drawn once, if any of their tasks is trained at all, and count once.
        training: its phases and batch size are used.

    Attributes:
        total_steps: steps of all phases.
    """

    def __init__(self, tasks: Sequence[TaskConfig], drawn_by: Sequence[int], training: TrainingConfig):
        self._tasks, self._drawn_by, self._batch_size = tasks, list(drawn_by), training.batch_size
        self._phases = [(phase.steps, *self._counts(phase.tasks)) for phase in training.phases]
        self.total_steps = sum(steps for steps, *_ in self._phases)

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """How many pairs each task has at a step, and how many were drawn for it before: int64 [tasks] each.

        Raises:
            IndexError: training ends before that step.
        """
        taken = np.zeros(len(self._tasks), np.int64)
        for steps, counts, drawn in self._phases:
            if step < steps:
                return counts, taken + step * drawn
            step -= steps
            taken += steps * drawn
        raise IndexError(f"training ends after {self.total_steps} steps")

    def _counts(self, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """How many pairs each task has in a batch, and how many are drawn for it and those that share them."""
        asked = np.array([not names or task.name in names for task in self._tasks])
        wanted = {drawn_by for drawn_by, own in zip(self._drawn_by, asked, strict=True) if own}
        share = np.array([task.share * (place in wanted) for place, task in enumerate(self._tasks)])
        exact = share / share.sum() * self._batch_size
        counts = np.floor(exact).astype(np.int64)
        largest = np.argsort(counts - exact, kind="stable")
        counts[largest[: self._batch_size - counts.sum()]] += 1
        drawn = counts[self._drawn_by]
        return drawn * asked, drawn
