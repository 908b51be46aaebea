"""Pictures and texts of fashion products: three questions, and what each modality is worth, over several seeds.

    python -m examples.fashion --source FOLDER

- Closeup: the picture of a product → the other products with its title, among all. `configs/fashion_products.yaml`
  learns which text goes with a picture from the whole catalog, what dev and test ask about included; `strict` leaves
  those pairs out, and so do the ablations of ItemSage §4.1.3, whose product towers read pictures alone, or texts alone.
- Title → pictures: a title → the products that have it, seen only through their pictures, among all products.
- Picture → titles: a picture → its title, among the titles of the split. It is the same model, asked the other way.

The last two are of `configs/fashion_titles.yaml`, which never sees a pair of dev or test. Choices are made on dev
(`--split dev`); test is for reporting. Everything stays in runs/fashion; killed, the same command goes on.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml
from rich.console import Console
from rich.table import Table

from examples.datasets import TFSAGE, run_command
from tfsage.evaluation.dense_ranks import rank_dense
from tfsage.evaluation.frozen import FrozenVectors
from tfsage.evaluation.judgements import Judgements
from tfsage.evaluation.recall import recall_sums
from tfsage.evaluation.summary import Summary, SystemSums, averaged
from tfsage.files import write_text

CLOSEUP, TITLES = Path("configs/fashion_products.yaml"), Path("configs/fashion_titles.yaml")
KS = (10, 100)
FROZEN = "frozen image embeddings"
BOTH, IMAGE, TEXT = "strict, image and text", "strict, image only", "strict, text only"


def main(
    source: Annotated[Path, typer.Option(help="The folder with the dataset's files.")],
    seeds: Annotated[int, typer.Option(help="How many trainings of each.")] = 3,
    split: Annotated[str, typer.Option(help="dev or test")] = "test",
    folder: Annotated[Path, typer.Option(help="Of tables, data and runs.")] = Path("runs/fashion"),
) -> None:
    """Trains and evaluates what is not there yet, and prints one table a question, with intervals over queries."""
    tables = folder / "tables"
    if not tables.exists():
        run_command(*TFSAGE, "import", "fashion_products", "--source", source, "--out", tables)
    closeup = {name: _runs(folder, slug, config, "closeup", seeds, split) for slug, name, config in closeup_systems()}
    systems = {FROZEN: _sums(closeup[BOTH][:1], "closeup", split, "sum")}
    systems |= {name: _sums(runs, "closeup", split) for name, runs in closeup.items()}
    titles = _runs(folder, "titles", yaml.safe_load(TITLES.read_text()), "titles", seeds, split)
    backwards = averaged([titles_of_pictures(FrozenVectors(run / "vectors" / split)) for run in titles])
    questions = {
        "Closeup": (systems, [(BOTH, IMAGE), (BOTH, TEXT), (IMAGE, TEXT)]),
        "Title → pictures": ({"titles": _sums(titles, "title", split)}, []),
        "Picture → titles": ({"titles": backwards}, []),
    }
    results = {}
    for question, (asked, compared) in questions.items():
        summary = Summary(asked, 1000, 1)
        results[question] = {
            "systems": {name: summary.values(name) for name in asked},
            "differences": {f"{one} − {other}": summary.differences(one, [other])[other] for one, other in compared},
        }
        Console().print(_table(question, results[question]))
    write_text(folder / f"results_{split}.json", json.dumps(results, indent=1) + "\n")


def closeup_systems() -> list[tuple[str, str, dict]]:
    """(short name, name, config) of every system that Closeup is asked of."""
    whole, strict, image, text = (yaml.safe_load(CLOSEUP.read_text()) for _ in range(4))
    for config in (strict, image, text):
        config["tasks"] = [task | {"held_out_images": False} for task in config["tasks"]]
    # Without text there is nothing that a picture could be told to mean.
    image["tasks"] = [{**task, "hide": []} for task in image["tasks"] if task.get("source") != "catalog_image"]
    image["towers"]["product"] |= {"text_fields": [], "separate_fields": False}
    text["tasks"] = [{**task, "hide": []} for task in text["tasks"]]
    text["towers"]["product"] |= {"images": None, "residual_images": False}
    return [
        ("whole", "pairs of the whole catalog", whole),
        ("strict", BOTH, strict),
        ("image", IMAGE, image),
        ("text", TEXT, text),
    ]


def titles_of_pictures(frozen: FrozenVectors) -> SystemSums:
    """The task `title` asked the other way: each picture among the titles, of which one is right."""
    titles, pictures = frozen.vectors("title")
    judgements = frozen.judgements("title")
    rows, query = np.unique(judgements.product, return_inverse=True)
    asked = Judgements(query, judgements.query, np.ones(len(query)), len(titles), np.arange(len(titles)))
    return recall_sums(rank_dense(pictures[rows], titles, asked, "Ranking titles"), asked, KS)


def _runs(folder: Path, slug: str, config: dict, data: str, seeds: int, split: str) -> list[Path]:
    """Run folders of one config, trained and evaluated; configs with one name of `data` share what is prepared."""
    config_file, prepared = folder / f"{slug}.yaml", folder / f"data_{data}"
    write_text(config_file, yaml.safe_dump(config, sort_keys=False))
    if not prepared.exists():
        run_command(*TFSAGE, "prepare", "--tables", folder / "tables", "--config", config_file, "--out", prepared)
    runs = [folder / f"{slug}_seed{seed}" for seed in range(1, seeds + 1)]
    for seed, run in enumerate(runs, 1):
        run_command(*TFSAGE, "train", "--data", prepared, "--config", config_file, "--run", run, "--seed", seed)
        if not (run / "vectors" / split).exists():
            run_command(*TFSAGE, "evaluate", "--run", run, "--split", split)
    return runs


def _sums(runs: list[Path], task: str, split: str, system: str = "model") -> SystemSums:
    """The recall of one system in one task, the mean over runs."""
    vectors = [FrozenVectors(run / "vectors" / split) for run in runs]
    return averaged([recall_sums(own.ranks(task)[system], own.judgements(task), KS) for own in vectors])


def _table(question: str, result: dict) -> Table:
    metrics = [f"query_recall@{k}" for k in KS]
    queries = next(iter(result["systems"].values()))[metrics[0]]["queries"]
    table = Table("system", *(f"recall@{k}" for k in KS), title=f"{question}: {queries:,} queries")
    for rows, key, form in ((result["systems"], "value", ".4f"), (result["differences"], "difference", "+.4f")):
        for name, own in rows.items():
            values = [own[metric] for metric in metrics]
            table.add_row(name, *(f"{v[key]:{form}} [{v['low']:{form}}, {v['high']:{form}}]" for v in values))
        table.add_section()
    return table


if __name__ == "__main__":
    typer.run(main)
