"""The tasks: which pairs, which towers, which share of the batch."""

from typing import Literal

from pydantic import Field, PositiveFloat, model_validator

from tfsage.config.section import Rate, Section


class TaskConfig(Section):
    """One retrieval task: which pairs, which towers, which share of the batch (ItemSage §3.5).

    `source` `engagements` takes the pairs of (`surface`, `query_type`) whose action is in `actions`, a map from the
    action to the weight of one engagement. `catalog_text` makes pairs from the catalog itself: a span or an
    IDF-sampled subset of the words of a product's title is the query, the product the positive. `catalog_image`
    takes one image of a product as the query; images that the exclusions table ties to a query of dev or test are left
    out, unless `held_out_images` says that the catalog's own pictures and texts may be learned whole. `hide` leaves
    features of the positive out (with `hide_rate`).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    source: Literal["engagements", "catalog_text", "catalog_image"] = "engagements"
    surface: str | None = None
    query_type: Literal["query", "pin", "product"] = "query"
    actions: dict[str, PositiveFloat] = {}
    evaluate_actions: tuple[str, ...] | None = None
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
        if self.source == "engagements" and (not self.actions or self.surface is None):
            raise ValueError(f"task {self.name}: source 'engagements' needs `surface` and `actions`")
        return self
