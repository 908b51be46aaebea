"""Every form of the loss on the same data, with the same batches and seeds: which one to choose (docs/losses.md)."""

from pathlib import Path

from tfsage.config import Config, load_config
from tfsage.data.importers import import_dataset
from tfsage.data.synthetic import write_shop
from tfsage.errors import TfsageError
from tfsage.experiments.grid import Experiment, Size, Variant
from tfsage.experiments.shrunk import shrunk

_REFINED = {"duplicates": "mask", "positive_correction": "none", "learn_temperature": False}

FORMS = (
    Variant("paper", "L_pos + L_neg, temperature learned", {}),
    Variant("fixed_temperature", "the same, temperature fixed", {"loss": {"learn_temperature": False}}),
    Variant("in_batch", "L_pos alone", {"loss": {"negatives": "in_batch"}, "training": {"random_negatives": None}}),
    Variant("random", "L_neg alone", {"loss": {"negatives": "random"}}),
    Variant("mixed", "one softmax, each candidate by its own source (eq. 4)", {"loss": {"negatives": "mixed"}}),
    Variant("mixture", "one softmax, mixture proposal", {"loss": {"negatives": "mixed", "proposal": "mixture"}}),
    Variant("refined_sum", "sum, refined, temperature fixed", {"loss": _REFINED}),
    Variant(
        "refined_mixture",
        "mixture, refined, temperature fixed",
        {"loss": {"negatives": "mixed", "proposal": "mixture", **_REFINED}},
    ),
    Variant(
        "conditional",
        "positive by its frequency among those of its query",
        {"loss": {"duplicates": "mask", "positive_correction": "conditional"}},
    ),
    Variant("half_correction", "half of log Q", {"loss": {"correction": 0.5}}),
    Variant("no_correction", "no log Q", {"loss": {"correction": 0.0}}),
    Variant("dedup", "every product once in the pool", {"loss": {"duplicates": "dedup"}}),
    Variant(
        "gap_estimator",
        "dedup, frequencies by the gap between batches",
        {"loss": {"duplicates": "dedup", "frequency": {"kind": "gap", "initial_gap": 20.0, "rate": 0.05}}},
    ),
    Variant(
        "narrow_sketch",
        "count-min sketch of 2 × 256 cells",
        {"loss": {"frequency": {"kind": "count_min", "width": 256, "depth": 2}}},
    ),
    Variant("label_smoothing", "ε = 0.1", {"loss": {"label_smoothing": 0.1}}),
    Variant("prefixes", "the loss on 32 and 64 dimensions too", {"loss": {"prefixes": {32: 0.5, 64: 0.5}}}),
    Variant("hardest", "the 32 hardest negatives of each term", {"loss": {"hardest": 32}}),
    Variant(
        "hard_negatives",
        "one mined negative of ranks 10 to 100 for each pair, in the second half",
        {"loss": {"hard_negatives": {"window": (10, 100), "start": 100, "ramp": 50}}},
    ),
)


_SHOP_PRODUCTS = {Size.SMOKE: 200, Size.DEFAULT: 3000, Size.FULL: 20_000}


def losses_on_shop(size: Size) -> Experiment:
    """On a synthetic shop."""
    return Experiment(
        "losses/shop",
        "every form of the loss on a synthetic shop",
        _config("losses_shop.yaml", size),
        FORMS,
        seeds=3,
        metric="recall",
        write_tables=lambda out, _: write_shop(out, products=_SHOP_PRODUCTS[size], dimension=128),
    )


def losses_on_home_depot(size: Size) -> Experiment:
    """On the Home Depot search relevance data, whose files the user has to have; all of them at every size."""
    return Experiment(
        "losses/home_depot",
        "every form of the loss on judged queries of a home improvement shop (--source)",
        _config("losses_home_depot.yaml", size),
        FORMS,
        seeds=2,
        metric="query_recall",
        write_tables=_import_home_depot,
    )


def _import_home_depot(out: Path, source: Path | None) -> None:
    if source is None:
        raise TfsageError("losses/home_depot: give --source, the folder with the dataset's files")
    import_dataset("home_depot", source, out)


def _config(name: str, size: Size) -> Config:
    config = load_config(Path(__file__).with_name(name))
    return shrunk(config) if size is Size.SMOKE else config
