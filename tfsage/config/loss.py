"""The loss: which terms are added, how they are corrected, how frequencies are estimated."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tfsage.config.section import Rate, Section


class FrequencyConfig(Section):
    """How log Q of the positives is estimated while training goes on.

    `auto` counts exactly up to 50 million entities and takes a count-min sketch beyond. `gap` is the streaming
    estimator of Yi et al.; it estimates how many batches hold an entity and goes with `loss.duplicates: dedup`.
    Every `decay_every` steps all counts are multiplied by `decay`; with `windows` W > 1 the counts are instead those
    of the last W stretches of `decay_every` steps, the one under way included. `width` and `depth` (8 bytes a cell)
    shape the sketch and the tables of the gap estimator, `conservative` is how the sketch is updated, `rate` and
    `initial_gap` (in steps) shape the gap estimator.
    """

    kind: Literal["auto", "exact", "count_min", "gap"] = "auto"
    width: PositiveInt = 1 << 20
    depth: PositiveInt = 4
    conservative: bool = True
    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    decay_every: PositiveInt = 1000
    windows: PositiveInt = 1
    rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
    initial_gap: Annotated[float, Field(ge=1.0)] = 1000.0

    @model_validator(mode="after")
    def _one_way_to_forget(self):
        if self.windows > 1 and self.decay < 1.0:
            raise ValueError(
                f"windows {self.windows} and decay {self.decay} are two ways to forget old counts; "
                "leave `decay` at 1, or `windows` at 1"
            )
        if self.kind == "gap" and (self.windows > 1 or self.decay < 1.0):
            raise ValueError("kind 'gap' forgets by `rate`; leave `decay` and `windows` at 1")
        return self


class HardNegativesConfig(Section):
    """Hard negatives, mined from the current embeddings between epochs.

    For every pair of the coming epoch the catalog is searched with its query; of the ranks in `window` (from 0, known
    positives counted too; first included, last excluded), products are kept that are no known positives and whose
    similarity s to the query is by a `margin` below that of the positive, s ≤ s⁺ − (1 − margin) |s⁺|, which is
    margin · s⁺ where s⁺ ≥ 0. Of these, `per_pair` are drawn; a pair whose positive is itself found late has fewer or
    none. From step `start` on, over `ramp` steps, the loss of the pair against its own hard negatives comes in with a
    weight that grows to `weight`.

    Every epoch from the one that reaches `start` begins with embedding the catalog, so `training.steps_per_epoch`
    says how fresh the hard negatives are and what they cost. Beyond 100,000 products the search is approximate, and
    two runs no longer equal to the bit; what was mined is kept, so a killed run goes on with the same.
    """

    per_pair: PositiveInt = 1
    window: tuple[NonNegativeInt, PositiveInt] = (10, 100)
    margin: Rate = 0.95
    start: NonNegativeInt = 0
    ramp: PositiveInt = 1
    weight: PositiveFloat = 1.0


class LossConfig(Section):
    """Which terms are added, and how (design §8). See tfsage.losses for the formulas.

    `negatives`: `sum` is L_pos + L_neg, the paper's choice; `in_batch` and `random` are its terms; `mixed` is one
    softmax over both, each candidate corrected by its `own` source (eq. 4) or by the `mixture` of the sources.
    `duplicates`: copies of a product in the pool are kept, masked where they are copies of the row's positive, or
    counted as one (dedup). `positive_correction`: the positive is corrected like every column, not at all (the
    refined form), or by its frequency among the positives of its own query (`conditional`, Pinterest's code).
    `correction` α takes α log Q off the logits. `mask_other_positives`: what else is known to be a positive of a query
    is no negative of it. The temperature stays between floor and cap. `label_smoothing` ε spreads ε of the target over
    the positive and its negatives. `prefixes` maps a number of leading dimensions to the weight of the loss on them
    (Matryoshka). `hardest` keeps only that many negatives of each row and term, those with the largest corrected
    logits.
    """

    negatives: Literal["sum", "in_batch", "random", "mixed"] = "sum"
    proposal: Literal["own", "mixture"] = "own"
    duplicates: Literal["keep", "mask", "dedup"] = "keep"
    positive_correction: Literal["all", "none", "conditional"] = "all"
    correction: Rate = 1.0
    mask_other_positives: bool = True
    temperature: PositiveFloat = 0.07
    learn_temperature: bool = True
    temperature_floor: PositiveFloat = 0.01
    temperature_cap: PositiveFloat = 1.0
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    prefixes: dict[PositiveInt, PositiveFloat] = {}
    hardest: PositiveInt | None = None
    hard_negatives: HardNegativesConfig | None = None
    frequency: FrequencyConfig = FrequencyConfig()
