"""The whole config."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from tfsage.config.data import EnrichConfig, PrepareConfig, TextConfig
from tfsage.config.health import DoctorConfig
from tfsage.config.loss import LossConfig
from tfsage.config.section import Rate, Section
from tfsage.config.tasks import PAIR_FIELDS, TaskConfig, with_shared_pairs
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
    enrich: EnrichConfig = EnrichConfig()
    towers: dict[str, TowerConfig]
    tasks: tuple[TaskConfig, ...] = Field(min_length=1)
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    export: ExportConfig = ExportConfig()
    doctor: DoctorConfig = DoctorConfig()

    @field_validator("tasks", mode="before")
    @classmethod
    def _share_pairs(cls, tasks: Any) -> Any:
        return with_shared_pairs(tasks) if isinstance(tasks, Sequence) and not isinstance(tasks, str) else tasks

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
            _check_candidates(task, candidate.kind)
            _check_shared_pairs(task, self.tasks)
        pools = {task.pool: (task.candidate_tower, task.entity_type) for task in self.tasks}
        for task in self.tasks:
            if pools[task.pool] != (task.candidate_tower, task.entity_type):
                raise ValueError(f"task {task.name}: a tower is called {task.pool!r} already; rename one of the two")
        for phase in self.training.phases:
            if unknown := set(phase.tasks) - set(names):
                raise ValueError(f"training.phases: no task named {sorted(unknown)}; there are {names}")
        return self


_TOWER_ROLES = ("query_tower", "candidate_tower")

_READ_QUERIES = ("ngram", "distilbert", "frozen")


def _check_candidates(task: TaskConfig, kind: str) -> None:
    reads_queries = kind in _READ_QUERIES
    if reads_queries != (task.entity_type == "query"):
        what = "queries" if reads_queries else "products and pins"
        raise ValueError(
            f"task {task.name}: candidates are of type {task.entity_type!r}, but tower {task.candidate_tower!r} "
            f"(kind {kind}) embeds {what}; change entity_type or candidate_tower"
        )


def _check_shared_pairs(task: TaskConfig, tasks: Sequence[TaskConfig]) -> None:
    if task.pairs_of is None:
        return
    other = next((each for each in tasks if each.name == task.pairs_of), None)
    if other is None or other.pairs_of is not None or other is task:
        known = [each.name for each in tasks if each.pairs_of is None]
        raise ValueError(f"task {task.name}: pairs_of names {task.pairs_of!r}; it must be one of {known}")
    if differing := [name for name in PAIR_FIELDS if getattr(task, name) != getattr(other, name)]:
        raise ValueError(
            f"task {task.name}: it shares the pairs of {other.name}, so {', '.join(differing)} must be the same; "
            "leave them out"
        )
    if task.pool == other.pool:
        raise ValueError(f"task {task.name}: it has the pairs and the candidates of {other.name}; change either")
