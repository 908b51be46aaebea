"""When hard negatives are mined, and the files they are kept in."""

from tfsage.console import console
from tfsage.data.hard_negatives import MinedNegatives
from tfsage.models import EmbeddingModel
from tfsage.training.cluster import Cluster
from tfsage.training.mining.mine import HardNegativeMiner
from tfsage.training.run import Run
from tfsage.training.shared_folder import wait_for
from tfsage.training.strategy import value_of_chief

FOLDER = "hard_negatives"
"""Within a run folder: FIRST_STEP.npz for an epoch that begins with that step."""


class HardNegativeMining:
    """Mines hard negatives before every epoch that needs some; does nothing when the config asks for none.

    They are written down before the epoch begins, so that a run that is killed in it goes on with the very same ones.
    A file is removed once training cannot go back to its epoch any more; that of the last epoch stays. Among several
    workers the chief mines, and the others wait for its file.

    Args:
        run: the run folder.
        model: its batches are given the hard negatives.
        cluster: the workers that train the model.
    """

    def __init__(self, run: Run, model: EmbeddingModel, cluster: Cluster | None = None):
        self._model, self._cluster = model, cluster or Cluster()
        self._section, self._training = run.config.loss.hard_negatives, run.config.training
        self._folder = run.folder / FOLDER
        self._mine = HardNegativeMiner(model, run.data) if self._section else None

    def prepare(self, step: int, end: int) -> None:
        """Sees to it that the steps of an epoch have hard negatives; all workers call it at the same step.

        Args:
            step: where training is, at the beginning of the epoch or, in a resumed run, within it.
            end: the step after the last of the epoch.
        """
        if self._section is None or end <= self._section.start:
            return
        first = self._epoch_of(step)
        path = self._folder / f"{first}.npz"
        if self._cluster.is_chief:
            self._remove_others(step)
            if not path.exists():
                self._write(step, first, end)
        value_of_chief(self._model.distribute_strategy, self._cluster, step)  # The others wait for the chief.
        wait_for(path)
        self._model.batches.hard_negatives = MinedNegatives.load(path)

    def _write(self, step: int, first: int, end: int) -> None:
        if step > first:
            console.print(
                f"The hard negatives of the epoch from step {first} are gone; new ones are mined with the model as it "
                "is now, so the run will differ from an undisturbed one",
                soft_wrap=True,
            )
        begin = max(first, self._section.start)
        mined = self._mine(begin, end, self._folder / ".index")
        mined.save(self._folder / f"{first}.npz")
        console.print(f"Hard negatives for steps {begin} to {end - 1}: {_describe(mined.summary)}", soft_wrap=True)

    def _remove_others(self, step: int) -> None:
        """Keeps the files of those epochs that training may go back to, from the last checkpoint on."""
        every = self._training.checkpoint_every
        kept = range(self._epoch_of(step // every * every), self._epoch_of(step) + 1)
        for file in self._folder.glob("*.npz"):
            if int(file.stem) not in kept:
                file.unlink()

    def _epoch_of(self, step: int) -> int:
        """The first step of the epoch that a step is in."""
        return step // self._training.steps_per_epoch * self._training.steps_per_epoch


def _describe(summary: dict[str, float]) -> str:
    pairs = f"{summary['pairs']:,.0f} pairs"
    if "similarity" not in summary:
        return (
            f"none for any of {pairs}. All products of loss.hard_negatives.window are known positives, or too similar "
            "for loss.hard_negatives.margin; take later ranks, or begin later (start)"
        )
    return (
        f"{pairs}, {summary['without']:.1%} of them without any; mean similarity to the queries "
        f"{summary['similarity']:.3f}, of their positives {summary['positive_similarity']:.3f}"
    )
