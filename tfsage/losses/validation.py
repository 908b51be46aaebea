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
    _check_sources(loss, random_negatives)
    _check_duplicates(loss)
    _check_mixed(loss)
    _check_correction(loss)
    _check_temperature(loss)
    _check_negatives(loss)


def check_dimension(loss: LossConfig, dimension: int | None) -> None:
    """Refuses prefixes that are not shorter than the embeddings.

    Args:
        loss: the `loss` section of a config.
        dimension: of the embeddings; None, while it is unknown, passes.

    Raises:
        TfsageError: naming the prefixes.
    """
    if dimension is None:
        return
    if too_long := sorted(prefix for prefix in loss.prefixes if prefix >= dimension):
        raise TfsageError(
            f"loss.prefixes {too_long} are not shorter than the embeddings, which have {dimension} dimensions; the "
            "loss on all of them has weight 1 and is not a prefix. Leave these out, or raise towers.*.dimension."
        )


def _check_sources(loss: LossConfig, random_negatives: int | None) -> None:
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
    if loss.proposal == "mixture" and loss.negatives != "mixed":
        raise TfsageError(
            f"loss.proposal 'mixture' contradicts loss.negatives '{loss.negatives}': a mixture is of both sources in "
            "one softmax. Set negatives: mixed, or leave proposal: own."
        )


def _check_duplicates(loss: LossConfig) -> None:
    if loss.duplicates == "mask" and loss.positive_correction == "all":
        raise TfsageError(
            "loss.duplicates 'mask' contradicts loss.positive_correction 'all': with copies of the positive masked and "
            "the positive corrected, every gradient is too large by 1 / (1 − P(positive)), however large the batch. "
            "Set duplicates: keep (ItemSage eq. 2), or positive_correction: none (the refined form)."
        )
    if loss.duplicates == "keep" and loss.positive_correction != "all":
        raise TfsageError(
            f"loss.duplicates 'keep' contradicts loss.positive_correction '{loss.positive_correction}': the positive "
            "would count once by itself and again in each of its copies. "
            "Set duplicates: mask (the refined form), or positive_correction: all (ItemSage eq. 2)."
        )
    if loss.frequency.kind == "gap" and loss.duplicates != "dedup" and loss.negatives != "random":
        raise TfsageError(
            f"loss.frequency.kind 'gap' contradicts loss.duplicates '{loss.duplicates}': it estimates how many batches "
            "hold an entity, whatever the number of copies, so that an entity with several copies would count several "
            "times. Set duplicates: dedup, or frequency.kind: auto."
        )


def _check_mixed(loss: LossConfig) -> None:
    if loss.negatives != "mixed":
        return
    if loss.frequency.kind == "gap":
        raise TfsageError(
            "loss.frequency.kind 'gap' contradicts loss.negatives 'mixed': what joins the two sources is the "
            "probability that one slot holds an entity, and it estimates that of a whole batch. "
            "Set frequency.kind: auto, or negatives: sum."
        )
    if loss.proposal == "own" and loss.positive_correction != "all":
        raise TfsageError(
            f"loss.negatives 'mixed' contradicts loss.positive_correction '{loss.positive_correction}': with each "
            "candidate weighed by its own source, the two sources count the catalog twice, but the positive only once. "
            "Set proposal: mixture, or positive_correction: all and duplicates: keep, or negatives: sum."
        )
    if loss.proposal == "own" and loss.duplicates == "dedup":
        raise TfsageError(
            "loss.negatives 'mixed' contradicts loss.duplicates 'dedup': an entity that came from both sources would "
            "have two corrections and count once. Set proposal: mixture, or duplicates: keep, or negatives: sum."
        )


def _check_correction(loss: LossConfig) -> None:
    if loss.correction == 1.0:
        return
    if loss.positive_correction != "all":
        raise TfsageError(
            f"loss.correction {loss.correction} contradicts loss.positive_correction '{loss.positive_correction}': "
            "there log Q is absolute, and with less of it every negative stands for fewer candidates than it should, "
            "while the positive stands for itself. Set correction: 1, or positive_correction: all."
        )
    if loss.negatives == "random":
        raise TfsageError(
            f"loss.correction {loss.correction} has no effect with loss.negatives 'random': all random negatives are "
            "equally likely, so log Q cancels. Leave correction out, or set negatives: sum."
        )


def _check_temperature(loss: LossConfig) -> None:
    if loss.temperature_floor > loss.temperature_cap:
        raise TfsageError(
            f"loss.temperature_floor {loss.temperature_floor} is above loss.temperature_cap {loss.temperature_cap}: "
            "lower the floor or raise the cap."
        )
    if loss.temperature < loss.temperature_floor:
        raise TfsageError(
            f"loss.temperature {loss.temperature} is below loss.temperature_floor {loss.temperature_floor}: "
            "raise the temperature or lower the floor."
        )
    if loss.temperature > loss.temperature_cap:
        raise TfsageError(
            f"loss.temperature {loss.temperature} is above loss.temperature_cap {loss.temperature_cap}: "
            "lower the temperature or raise the cap."
        )
    refined = loss.positive_correction == "none"
    if refined and loss.learn_temperature and loss.temperature_floor < REFINED_FLOOR:
        raise TfsageError(
            f"loss.learn_temperature with loss.positive_correction 'none' needs a loss.temperature_floor of at least "
            f"{REFINED_FLOOR}, got {loss.temperature_floor}: without it the temperature of the refined loss runs down "
            "and recall with it. Raise the floor, or set learn_temperature: false."
        )


def _check_negatives(loss: LossConfig) -> None:
    if loss.hardest is not None and loss.label_smoothing:
        raise TfsageError(
            f"loss.hardest {loss.hardest} contradicts loss.label_smoothing {loss.label_smoothing}: smoothing spreads "
            "its share over all negatives, of which most would be missing from the softmax. "
            "Leave one of the two out."
        )
    if loss.hard_negatives is None:
        return
    first, last = loss.hard_negatives.window
    if first >= last:
        raise TfsageError(
            f"loss.hard_negatives.window [{first}, {last}] holds no rank: the first is included, the last is not. "
            "Give a last rank above the first, such as [10, 100]."
        )
    if last - first < loss.hard_negatives.per_pair:
        raise TfsageError(
            f"loss.hard_negatives.per_pair {loss.hard_negatives.per_pair} does not fit into the {last - first} ranks "
            f"of loss.hard_negatives.window [{first}, {last}]: widen the window, or ask for fewer."
        )
