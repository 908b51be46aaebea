"""Tables 2 and 3 of ItemSage (KDD'22) on a synthetic shop: architectures; features, negatives, surfaces, engagement."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tfsage.config import Config, load_config
from tfsage.data.synthetic.clutter import write_cluttered_shop
from tfsage.experiments.grid import Experiment, Size, Variant
from tfsage.experiments.itemsage_paper import CLOSEUP, REGULAR, SEARCH, SHOPPING, TABLE_2, TABLE_3
from tfsage.experiments.shrunk import shrunk
from tfsage.graph.neighbours import write_neighbours

_SHOPS = {
    Size.SMOKE: {"products": 200},
    Size.DEFAULT: {"products": 10_000, "queries": 12_000, "pins": 12_000, "engagements": 1_500_000, "seed": 2},
    Size.FULL: {"products": 200_000, "queries": 100_000, "pins": 200_000, "engagements": 12_000_000, "seed": 2},
}
"""Sizes and steps were chosen on the shop of seed 1, with its test queries seen; what is reported is another shop."""
_NEIGHBOURS = {Size.SMOKE: 3, Size.DEFAULT: 10, Size.FULL: 50}
_MLP_HIDDEN = {Size.SMOKE: 16, Size.DEFAULT: 128, Size.FULL: 256}


def itemsage_table_2(size: Size) -> Experiment:
    """Architectures: Sum, Sum-MLP, MLP-Concat-MLP, ItemSage with one to four layers."""
    config = _config(size)
    product = config.towers["product"]
    images, hidden = product.images.model_dump(), _MLP_HIDDEN[size]
    shared = {"text_fields": product.text_fields, "hash_embedding": product.hash_embedding.model_dump()}
    # Nothing of Sum is trained, but a run has at least one step.
    no_training = {"phases": [{"steps": 1}], "steps_per_epoch": 1, "checkpoint_every": 1}
    variants = (
        Variant("itemsage", "one layer", {}),
        _tower("mlp_concat_mlp", "an MLP on each slot, another on all", images=images, hidden=hidden, **shared),
        _tower("sum", "images, summed", training=no_training, images=images),
        _sum_mlp(config, images, [2 * hidden]),
        *(
            Variant(f"layers_{layers}", f"{layers} layers", {"towers": {"product": {"layers": layers}}})
            for layers in (2, 3, 4)
        ),
    )
    # Towers of two to four layers take most of the time.
    return _experiment(
        "itemsage/table2", "architectures of the product tower", size, config, variants, TABLE_2, seeds=1
    )


def itemsage_table_3(size: Size) -> Experiment:
    """Features, negatives, surfaces and kinds of engagement."""
    config = _config(size)
    in_batch = {"loss": {"negatives": "in_batch"}, "training": {"random_negatives": None}}
    variants = (
        Variant("itemsage", "both modalities, L_pos + L_neg, all tasks", {}),
        Variant("image_only", "no text", {"towers": {"product": {"text_fields": []}}}),
        Variant("text_only", "no images", {"towers": {"product": {"images": None}}}),
        Variant(
            "graph",
            "both, and neighbours in the pin-board graph",
            {"towers": {"product": {"neighbours": {"slots": _NEIGHBOURS[size]}}}},
        ),
        Variant("pos_only", "L_pos alone", in_batch),
        Variant("neg_only", "L_neg alone", {"loss": {"negatives": "random"}}),
        Variant("mixed", "one softmax over both sources (eq. 4)", {"loss": {"negatives": "mixed"}}),
        Variant("closeup", "trained on Closeup alone", {"training": _only(config, CLOSEUP)}),
        Variant("search", "trained on Search alone", {"training": _only(config, SEARCH)}),
        Variant("regular", "trained on clicks and saves", {"training": _only(config, REGULAR)}),
        Variant("shopping", "trained on add-to-cart and checkout", {"training": _only(config, SHOPPING)}),
    )
    about = "features, negatives, surfaces and engagement"
    return _experiment("itemsage/table3", about, size, config, variants, TABLE_3, seeds=3, neighbours=_NEIGHBOURS[size])


def _experiment(name, about, size, config, variants, paper, seeds: int, neighbours: int = 0) -> Experiment:
    def write_tables(out: Path, _: Path | None) -> None:
        if not neighbours:
            return write_cluttered_shop(out, **_SHOPS[size])
        with TemporaryDirectory(dir=out.parent) as scratch:
            write_cluttered_shop(Path(scratch) / "shop", **_SHOPS[size])
            write_neighbours(Path(scratch) / "shop", out, neighbours, prepare=config.prepare)

    return Experiment(
        name,
        about,
        config,
        variants,
        seeds=seeds,
        metric="recall",
        write_tables=write_tables,
        paper=paper,
    )


def _config(size: Size) -> Config:
    folder = Path(__file__).parent
    if size is Size.FULL:
        return load_config(folder / "itemsage_full.yaml")
    config = load_config(folder / "itemsage.yaml")
    return shrunk(config) if size is Size.SMOKE else config


def _tower(name: str, about: str, training: dict | None = None, **section) -> Variant:
    """A product tower of another kind, and what that changes in training."""
    changes = {"towers": {"product": {"kind": name, **section}}}
    return Variant(name, about, changes | ({"training": training} if training else {}))


def _sum_mlp(config: Config, images: dict, hidden: list[int]) -> Variant:
    """An MLP on each image, summed; as the paper's, it was trained on queries and the pins found, not on products."""
    found = {"name": "search_pin", "surface": "search", "query_type": "query", "entity_type": "pin"}
    found |= {"actions": {"click": 1, "save": 1}, "query_tower": "search"}
    return Variant(
        "sum_mlp",
        "an MLP on each image, trained on pins found on Search, summed",
        {
            "towers": {"product": {"kind": "sum", "images": images, "hidden": hidden}},
            "tasks": [*config.model_dump()["tasks"], found],
            "training": _only(config, ("search_pin",)),
        },
    )


def _only(config: Config, tasks: tuple[str, ...]) -> dict:
    """The training section that leaves all tasks but some to evaluation: the batch is as large, and all theirs."""
    return {"phases": [{"steps": phase.steps, "tasks": list(tasks)} for phase in config.training.phases]}
