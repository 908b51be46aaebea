"""Which loss options fit together."""

from tfsage.config import LossConfig
from tfsage.errors import TfsageError

REFINED_FLOOR = 0.05
"""The refined loss with a learned temperature needs at least this floor."""


def check_loss(loss: LossConfig, random_negatives: int | None = None) -> None:
    """Refuses loss options that contradict each other, since training would go on and learn something else.

    Args:
        loss: the `loss` section of a config.
        random_negatives: `training.random_negatives`: None for as many as there are pairs in a batch.

    Raises:
        TfsageError: naming the options, the reason and the ways out.
    """
    masked, corrected = loss.duplicates == "mask", loss.positive_correction == "all"
    if masked and corrected:
        raise TfsageError(
            "loss.duplicates 'mask' contradicts loss.positive_correction 'all': with copies of the positive masked and "
            "the positive corrected, every gradient is too large by 1 / (1 − P(positive)), however large the batch. "
            "Set duplicates: keep (ItemSage eq. 2), or positive_correction: none (the refined form)."
        )
    if not masked and not corrected:
        raise TfsageError(
            "loss.duplicates 'keep' contradicts loss.positive_correction 'none': the positive would count once "
            "uncorrected and again in each of its copies. "
            "Set duplicates: mask (the refined form), or positive_correction: all (ItemSage eq. 2)."
        )
    if loss.negatives == "mixed" and not corrected:
        raise TfsageError(
            "loss.negatives 'mixed' contradicts loss.positive_correction 'none': with each candidate weighed by its "
            "own source, the two sources count the catalog twice, but an uncorrected positive only once. "
            "Set positive_correction: all and duplicates: keep, or negatives: sum."
        )
    if loss.temperature < loss.temperature_floor:
        raise TfsageError(
            f"loss.temperature {loss.temperature} is below loss.temperature_floor {loss.temperature_floor}: "
            "raise the temperature or lower the floor."
        )
    if not corrected and loss.learn_temperature and loss.temperature_floor < REFINED_FLOOR:
        raise TfsageError(
            f"loss.learn_temperature with loss.positive_correction 'none' needs a loss.temperature_floor of at least "
            f"{REFINED_FLOOR}, got {loss.temperature_floor}: without it the temperature of the refined loss runs down "
            "and recall with it. Raise the floor, or set learn_temperature: false."
        )
    if loss.negatives in ("sum", "random", "mixed") and random_negatives == 0:
        raise TfsageError(
            f"loss.negatives '{loss.negatives}' needs random negatives, but training.random_negatives is 0: "
            "give a positive number, leave it out (then as many as the batch size), or set negatives: in_batch."
        )
    if loss.negatives == "in_batch" and random_negatives:
        raise TfsageError(
            f"loss.negatives 'in_batch' uses no random negatives, but training.random_negatives is {random_negatives}: "
            "leave it out, or set negatives: sum."
        )
