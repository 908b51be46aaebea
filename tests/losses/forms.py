"""Every combination of loss options that the validator lets through."""

import itertools

from tfsage.config import LossConfig
from tfsage.errors import TfsageError
from tfsage.losses.validation import check_loss

_FORMS = {
    "negatives": ["sum", "in_batch", "random", "mixed"],
    "proposal": ["own", "mixture"],
    "duplicates": ["keep", "mask", "dedup"],
    "positive_correction": ["all", "none", "conditional"],
}
_VARIANTS = {
    "": {},
    " partly": {"correction": 0.5},
    " by gaps": {"frequency": {"kind": "gap"}},
    " unmasked": {"mask_other_positives": False},
    " smoothed": {"label_smoothing": 0.1},
    " hardest": {"hardest": 2},
    " prefixes": {"prefixes": {2: 0.5, 4: 2.0}},
    " smoothed prefixes": {"label_smoothing": 0.2, "prefixes": {3: 0.5}, "mask_other_positives": False},
    " hardest prefixes": {"hardest": 3, "prefixes": {3: 0.5}, "correction": 0.5},
}


def valid_forms(fixed: dict, variants=tuple(_VARIANTS)) -> dict[str, LossConfig]:
    """Name -> config: terms, duplicates and correction of the positive in every way, in each variant.

    Args:
        fixed: options that are in all of them.
        variants: which of the further options to add.
    """
    forms = {}
    for values, variant in itertools.product(itertools.product(*_FORMS.values()), variants):
        loss = LossConfig(**dict(zip(_FORMS, values, strict=True)), **_VARIANTS[variant], **fixed)
        try:
            check_loss(loss)
        except TfsageError:
            continue
        forms["-".join(values) + variant] = loss
    return forms
