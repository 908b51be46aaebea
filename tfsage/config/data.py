"""How tables become training data: tokenization, split, caps."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tfsage.config.section import Rate, Section


class TextConfig(Section):
    """Tokenization shared by every n-gram tower (ItemSage §3.2); vocabularies hold the most frequent tokens."""

    unigrams: NonNegativeInt = 200_000
    bigrams: NonNegativeInt = 1_000_000
    character_ngrams: NonNegativeInt = 64_000
    character_lengths: tuple[PositiveInt, ...] = (3,)
    light_stemming: bool = False
    split_numbers: bool = False
    joined_bigrams: bool = False


class SplitConfig(Section):
    """How pairs are divided into train, dev and test.

    `auto` takes `given` when the engagements have a `split` column, else `time` when the timestamps span more than
    twice the gap and the two windows, else `query`.
    """

    by: Literal["auto", "time", "query", "given"] = "auto"
    gap_days: NonNegativeInt = 15
    window_days: PositiveInt = 7
    dev_share: Rate = 0.1
    test_share: Rate = 0.1


class PrepareConfig(Section):
    cap_per_pin: PositiveInt = 50
    cap_per_product: PositiveInt = 200
    split: SplitConfig = SplitConfig()
    seed: int = 1


class EnrichConfig(Section):
    """What `tfsage enrich` writes beside products and pins (OmniSearchSage §3.2).

    `kept_queries` is how many queries of an entity each month keeps when counts are merged month by month: more than
    the feature holds, since a query that is never among the first of a month may be among the first of two years.
    """

    board_titles: PositiveInt = 10
    engaged_queries: PositiveInt = 20
    kept_queries: PositiveInt = 2000
    window_days: PositiveInt = 730
    action_weights: dict[str, PositiveFloat] = {
        "click": 1.0,
        "save": 2.0,
        "long_click": 2.0,
        "add_to_cart": 4.0,
        "checkout": 8.0,
    }

    @model_validator(mode="after")
    def _keep_enough(self):
        if self.kept_queries < self.engaged_queries:
            raise ValueError(
                f"kept_queries ({self.kept_queries}) must be at least engaged_queries ({self.engaged_queries})"
            )
        return self
