"""How tables become training data: tokenization, split, caps."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

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
