"""Training: batches, phases, optimizers, where product features are read from."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tfsage.config.section import Rate, Section


class VariableGroupConfig(Section):
    """Variables that are trained in a way of their own: those whose path matches the pattern `variables`.

    A variable's path is its tower's name, the layers on the way, and its own name, such as
    `product/head/linear/kernel`; `*` matches anything, slashes too. A pattern that matches nothing is an error that
    lists all paths. A variable belongs to the first group that matches it. What is left out is as for the other
    variables; `frozen` variables are not trained at all.
    """

    variables: str
    learning_rate: PositiveFloat | None = None
    weight_decay: float | None = Field(default=None, ge=0.0)
    frozen: bool = False

    @model_validator(mode="after")
    def _says_one_thing(self):
        trained = self.learning_rate is not None or self.weight_decay is not None
        if self.frozen and trained:
            raise ValueError(f"group {self.variables!r}: frozen variables have no learning_rate and no weight_decay")
        if not self.frozen and not trained:
            raise ValueError(f"group {self.variables!r}: say learning_rate, weight_decay or frozen: true")
        return self


class OptimizerConfig(Section):
    """One optimizer for the hash tables, one for everything else; linear warm-up, then cosine to `final_scale`.

    `kind`: `adamw`, or `lamb` for batches of thousands. `tables`: `row_wise_adagrad` has one number of state per row,
    `lazy_adam` two per weight; neither costs more than the rows that a batch touches. `table_learning_rate`: when
    left out, 0.05 for row-wise Adagrad, and `learning_rate` for lazy Adam. `weight_decay` is decoupled, and for
    matrices only: never for biases, norms, the temperature or a hash table. `clip_norm`: the largest norm of all
    gradients together, over all replicas; null lets any pass.
    """

    kind: Literal["adamw", "lamb"] = "adamw"
    tables: Literal["row_wise_adagrad", "lazy_adam"] = "row_wise_adagrad"
    learning_rate: PositiveFloat = 1e-3
    table_learning_rate: PositiveFloat | None = None
    weight_decay: float = Field(default=0.0, ge=0.0)
    groups: tuple[VariableGroupConfig, ...] = ()
    warmup_steps: NonNegativeInt = 100
    final_scale: Rate = 0.1
    clip_norm: PositiveFloat | None = 1.0

    @property
    def rate_of_tables(self) -> float:
        """The peak learning rate of the hash tables."""
        if self.table_learning_rate is not None:
            return self.table_learning_rate
        return 0.05 if self.tables == "row_wise_adagrad" else self.learning_rate


class PhaseConfig(Section):
    """A stretch of training on some of the tasks (all of them when `tasks` is empty)."""

    steps: PositiveInt
    tasks: tuple[str, ...] = ()


class TrainingConfig(Section):
    """`chunk_size`: candidates and queries embedded at once; None for the whole batch. Chunks do not change the
    result, only memory and time (cached gradients). `product_features`: where the features of products are read from:
    `store` (memory-mapped, random access), `records` (pre-joined TFRecord shards, read in sequence, made beside the
    prepared data when they are not there: a copy of the features of every pair), or `auto`: records once the stores
    are larger than half of memory. The order of rows differs, so a run is resumed with the same kind.
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
