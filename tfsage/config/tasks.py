"""The tasks: which pairs, which towers, which share of the batch."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, PositiveFloat, model_validator

from tfsage.config.section import Rate, Section


class TaskConfig(Section):
    """One retrieval task: which pairs, which towers, which share of the batch (ItemSage §3.5, OmniSearchSage §3.5).

    `source` `engagements` takes the pairs of (`surface`, `query_type`, `entity_type`) whose action is in `actions`, a
    map from the action to the weight of one engagement. `catalog_text` makes pairs from the catalog itself: a span or
    an IDF-sampled subset of the words of a product's title is the query, the product the positive. `catalog_image`
    takes one image of a product as the query; images that the exclusions table ties to a query of dev or test are left
    out, unless `held_out_images` says that the catalog's own pictures and texts may be learned whole. `hide` leaves
    features of the positive out (with `hide_rate`).

    `pairs_of` names another task whose pairs this one shares, row by row, so that they are drawn and their queries
    embedded once: a learned and a compatibility encoder over the same dataset differ in their `candidate_tower` alone.
    What says which pairs these are is taken over from that task, and its share of the batch is that task's.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    source: Literal["engagements", "catalog_text", "catalog_image"] = "engagements"
    surface: str | None = None
    query_type: Literal["query", "pin", "product"] = "query"
    entity_type: Literal["product", "pin", "query"] = "product"
    actions: dict[str, PositiveFloat] = {}
    evaluate_actions: tuple[str, ...] | None = None
    pairs_of: str | None = None
    query_tower: str
    candidate_tower: str = "product"
    share: PositiveFloat = 1.0
    weight: PositiveFloat = 1.0
    spelling_noise: Rate = 0.0
    hide: tuple[Literal["images", "text"], ...] = ()
    hide_rate: Rate = 1.0
    held_out_images: bool = False
    optional: bool = False

    @model_validator(mode="after")
    def _engagements_need_actions(self):
        if self.source == "engagements" and self.pairs_of is None and (not self.actions or self.surface is None):
            raise ValueError(f"task {self.name}: source 'engagements' needs `surface` and `actions`")
        if self.source != "engagements" and self.entity_type != "product":
            raise ValueError(f"task {self.name}: source {self.source!r} makes pairs of products; leave entity_type out")
        return self

    @property
    def pool(self) -> str:
        """Which candidates compete: those of one tower and one entity type share a softmax and their frequencies.

        Named after the tower, and the entity type where that is not product.
        """
        return self.candidate_tower if self.entity_type == "product" else f"{self.candidate_tower}_{self.entity_type}"


PAIR_FIELDS = (
    "source",
    "surface",
    "query_type",
    "entity_type",
    "actions",
    "evaluate_actions",
    "query_tower",
    "spelling_noise",
    "held_out_images",
    "optional",
)
"""What says which pairs a task has: the same for tasks that share theirs."""


def with_shared_pairs(tasks: Sequence[Any]) -> list[Any]:
    """Fills in, in the raw `tasks` section of a config, what a task takes over from the one named by `pairs_of`."""
    named = {task["name"]: task for task in tasks if isinstance(task, Mapping) and "name" in task}

    def filled(task: Any) -> Any:
        other = named.get(task.get("pairs_of")) if isinstance(task, Mapping) else None
        return task if other is None else {**{k: v for k, v in other.items() if k in PAIR_FIELDS}, **task}

    return [filled(task) for task in tasks]
