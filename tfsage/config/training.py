"""Training: batches, phases, optimizers, where product features are read from."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from tfsage.config.section import Rate, Section


class VariableGroupConfig(Section):
    """Variables that are trained in a way of their own: those whose path matches the pattern `variables`.

    A variable's path is its tower's name and its own name, such as `text/head/kernel`; `*` matches anything.
    What is left out is as for the other variables.
    """

    variables: str
    learning_rate: PositiveFloat | None = None
    weight_decay: float | None = Field(default=None, ge=0.0)
    frozen: bool = False


class OptimizerConfig(Section):
    """One optimizer for the hash tables, one for everything else; linear warm-up, then cosine to `final_scale`."""

    kind: Literal["adamw", "lamb"] = "adamw"
    tables: Literal["row_wise_adagrad", "lazy_adam"] = "row_wise_adagrad"
    learning_rate: PositiveFloat = 1e-3
    table_learning_rate: PositiveFloat = 0.05
    weight_decay: float = Field(default=0.0, ge=0.0)
    groups: tuple[VariableGroupConfig, ...] = ()
    warmup_steps: NonNegativeInt = 100
    final_scale: Rate = 0.1
    clip_norm: PositiveFloat | None = 1.0


class PhaseConfig(Section):
    """A stretch of training on some of the tasks (all of them when `tasks` is empty)."""

    steps: PositiveInt
    tasks: tuple[str, ...] = ()


class TrainingConfig(Section):
    """`chunk_size`: candidates and queries embedded at once; None for the whole batch. Chunks do not change the
    result, only memory and time (cached gradients). `product_features`: where the features of products are read from:
    `store` (memory-mapped, random access), `records` (pre-joined TFRecord shards, read in sequence), or `auto`:
    records once the stores are larger than memory.
    """

    batch_size: PositiveInt = 512
    random_negatives: NonNegativeInt | None = None
    chunk_size: PositiveInt | None = None
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    product_features: Literal["auto", "store", "records"] = "auto"
    phases: tuple[PhaseConfig, ...] = (PhaseConfig(steps=1000),)
    steps_per_epoch: PositiveInt = 100
    checkpoint_every: PositiveInt = 100
    token_dropout: Rate = 0.0
    embedding_dropout: Rate = 0.0
    optimizer: OptimizerConfig = OptimizerConfig()
    seed: int = 1
