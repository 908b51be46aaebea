"""The whole config."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from tfsage.config.data import PrepareConfig, TextConfig
from tfsage.config.loss import LossConfig
from tfsage.config.section import Rate, Section
from tfsage.config.tasks import TaskConfig
from tfsage.config.towers import NgramTowerConfig, TowerConfig
from tfsage.config.training import TrainingConfig


class EvaluationConfig(Section):
    k: tuple[PositiveInt, ...] = (10, 100)
    distractors: PositiveInt = 1_000_000
    baselines: tuple[Literal["random", "popularity", "bm25", "sum"], ...] = ("random", "popularity", "bm25", "sum")
    fuse_bm25: bool = False
    bootstrap: PositiveInt = 1000
    max_pairs: PositiveInt = 80_000
    seed: int = 1


class ExportConfig(Section):
    product_tower: str = "product"
    query_tower: str | None = "text"
    recall_target: Rate = 0.95
    batch_size: PositiveInt = 256


class Config(Section):
    text: TextConfig = TextConfig()
    prepare: PrepareConfig = PrepareConfig()
    towers: dict[str, TowerConfig]
    tasks: tuple[TaskConfig, ...] = Field(min_length=1)
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    export: ExportConfig = ExportConfig()

    @model_validator(mode="after")
    def _names_resolve(self):
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError(f"task names must be unique, got {names}")
        wanted = [(f"tasks.{t.name}.{role}", getattr(t, role)) for t in self.tasks for role in _TOWER_ROLES]
        wanted += [("export.product_tower", self.export.product_tower)]
        if self.export.query_tower is not None:
            wanted.append(("export.query_tower", self.export.query_tower))
        wanted += [
            (f"towers.{name}.share_embedding", tower.share_embedding)
            for name, tower in self.towers.items()
            if isinstance(tower, NgramTowerConfig) and tower.share_embedding
        ]
        for where, tower in wanted:
            if tower not in self.towers:
                raise ValueError(f"{where}: no tower named {tower!r}; there are {sorted(self.towers)}")
        for task in self.tasks:
            query, candidate = self.towers[task.query_tower], self.towers[task.candidate_tower]
            if query.dimension != candidate.dimension:
                raise ValueError(
                    f"task {task.name}: towers {task.query_tower!r} and {task.candidate_tower!r} have dimensions "
                    f"{query.dimension} and {candidate.dimension}; they must be equal to be compared"
                )
        for phase in self.training.phases:
            if unknown := set(phase.tasks) - set(names):
                raise ValueError(f"training.phases: no task named {sorted(unknown)}; there are {names}")
        return self


_TOWER_ROLES = ("query_tower", "candidate_tower")
