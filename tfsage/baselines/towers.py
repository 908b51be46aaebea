"""The paper's trained baselines (ItemSage §4.1.2) as configs: the same run with another product tower."""

from tfsage.config import Config
from tfsage.errors import TfsageError

TOWER_BASELINES = ("sum_mlp", "mlp_concat_mlp")


def baseline_config(config: Config, name: str) -> Config:
    """The config of a run whose product tower is a baseline; tasks, batches, loss and optimizer stay as they are.

    A query tower that uses the product tower's hash embedding gets one of its own where the baseline reads no text.

    Args:
        config: of the run; the tower `export.product_tower` is replaced.
        name: one of `TOWER_BASELINES`: `sum_mlp` (an MLP on every image, summed) or `mlp_concat_mlp` (an MLP on every
            slot, another on all of them).

    Raises:
        TfsageError: the run's tower has no images to sum, or is no tower over content.
    """
    product = config.export.product_tower
    section = config.towers[product]
    images, fields = getattr(section, "images", None), getattr(section, "text_fields", ())
    sizes = {"dimension": section.dimension, "images": None if images is None else images.model_dump()}
    if name == "sum_mlp":
        if images is None:
            raise TfsageError(f"baselines: sum_mlp sums images, and the tower {product!r} has none; leave it out")
        changed = {"kind": "sum", "hidden": [section.dimension], **sizes}
    else:
        if images is None and not fields:
            raise TfsageError(f"baselines: the tower {product!r} reads neither text nor images; leave {name} out")
        embedding = {"hash_embedding": section.hash_embedding.model_dump()} if fields else {}
        changed = {"kind": name, "hidden": section.dimension, "text_fields": fields, **embedding, **sizes}
    raw = config.model_dump()
    raw["towers"][product] = changed
    if name == "sum_mlp":
        for other in raw["towers"].values():
            if other.get("share_embedding") == product:
                other |= {"share_embedding": None, "hash_embedding": section.hash_embedding.model_dump()}
    return Config.model_validate(raw)
