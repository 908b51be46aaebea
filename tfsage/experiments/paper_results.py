"""A grid beside the table of a paper: its figures and ours, task by task, and what becomes of its claims."""

from collections.abc import Mapping

from pydantic import TypeAdapter

from tfsage.config import TowerConfig
from tfsage.data.prepared import PreparedData
from tfsage.experiments.by_task import compare_tasks
from tfsage.experiments.claims import HOLDS, UNDECIDED, Paper, verdict
from tfsage.experiments.grid import Experiment
from tfsage.experiments.question import Runs
from tfsage.experiments.tables import Table
from tfsage.text.vocabulary import Vocabulary


def judge(experiment: Experiment, runs: Runs, reference: str, data: PreparedData, split: str) -> dict:
    """Compares evaluated runs as the paper does.

    Args:
        experiment: with its paper.
        runs: run folders of the variants that are done.
        reference: the variant that relative differences are taken from.
        data: what they were trained on.
        split: dev or test.

    Returns:
        "title", "metric", "reference", "queries" by task; "variants": name → "seeds", "parameters" (of the product
        tower trained here; for towers of the paper's sizes "parameters_at_paper_sizes", and the paper's own,
        "paper_parameters", in millions), "tasks": task → {value, low, high, runs, paper} and, but for the reference,
        "difference": {difference, low, high, runs, paper}, relative; "claims": one entry for each claim whose variants
        are both done, with "tasks": task → {difference, low, high, runs, paper}, and "verdict".
    """
    paper = experiment.paper
    pairs = {(name, reference): None for name in runs if name != reference}
    pairs |= {(claim.one, claim.other): None for claim in paper.claims}
    found = compare_tasks(runs, reference, pairs, data, experiment.config, experiment.metric, split)
    differences = found["differences"]
    tokens = Vocabulary.load(data.vocabulary_folder).size
    variants = {}
    for name, values in found["values"].items():
        tasks = {task: {**values[task], "paper": figure} for task, figure in paper.figures[name].items()}
        if name != reference and (name, reference) in differences:
            for task, own in tasks.items():
                own["difference"] = _beside_paper(differences[name, reference], paper, name, reference, task)
        section = _product(experiment, name)
        variants[name] = {
            "seeds": sorted(runs[name]),
            "parameters": _count(section, tokens),
            **_paper_parameters(paper, name, section),
            "tasks": tasks,
        }
    return {
        "title": paper.title,
        "metric": found["metric"],
        "reference": reference,
        "queries": found["queries"],
        "variants": variants,
        "claims": [
            {
                **claim._asdict(),
                "tasks": {
                    task: _beside_paper(differences[claim.one, claim.other], paper, claim.one, claim.other, task)
                    for task in claim.tasks
                },
                "verdict": verdict(claim, differences[claim.one, claim.other]),
            }
            for claim in paper.claims
            if (claim.one, claim.other) in differences
        ],
    }


def paper_tables(paper: Paper, judged: dict) -> list[Table]:
    """One table for each surface, the paper's figures below ours, and one of the claims."""
    variants, reference = judged["variants"], judged["reference"]
    order = [name for name in paper.figures if name in variants]
    all_tasks = list(dict.fromkeys(task for name in order for task in variants[name]["tasks"]))
    surfaces = dict.fromkeys(task.split("_")[0] for task in all_tasks)
    tables = []
    for surface in surfaces:
        tasks = [task for task in all_tasks if task.startswith(f"{surface}_")]
        rows = []
        for name in order:
            own = variants[name]
            if not own["tasks"].keys() & set(tasks):
                continue
            rows.append([name, _millions(own["parameters"]), *[_ours(own["tasks"].get(task)) for task in tasks]])
            size = own.get("parameters_at_paper_sizes")
            published = "" if size is None else f"{_millions(size)} ({own['paper_parameters']:.1f} M)"
            rows.append(["· paper", published, *[_published(own["tasks"].get(task)) for task in tasks]])
        columns = ["variant", "parameters", *[task.removeprefix(f"{surface}_").replace("_", " ") for task in tasks]]
        title = f"{judged['title']}, {surface.title()}: {judged['metric']}, and relative to {reference}"
        tables.append(Table(title, columns, rows))
    claims = [
        [
            f"{claim['says']} ({claim['where']})",
            _range([each["paper"] for each in claim["tasks"].values()]),
            _range([each["difference"] for each in claim["tasks"].values()]),
            f"{sum(verdict_of_task(claim, task) == HOLDS for task in claim['tasks'])}/{len(claim['tasks'])}",
            _with_seeds(claim),
        ]
        for claim in judged["claims"]
    ]
    return [*tables, Table("The paper's claims", ["claim", "paper", "ours", "tasks", "verdict"], claims)]


def verdict_of_task(claim: Mapping, task: str) -> str:
    """The verdict on one task of a judged claim."""
    each = claim["tasks"][task]
    return HOLDS if min(each["low"], *each["runs"]) > claim["at_least"] else ""


def _with_seeds(claim: Mapping) -> str:
    """The verdict; where one seed said it, that too."""
    one_seed = min(len(each["runs"]) for each in claim["tasks"].values()) == 1
    return f"{claim['verdict']} (one seed)" if one_seed and claim["verdict"] != UNDECIDED else claim["verdict"]


def _beside_paper(differences: Mapping, paper: Paper, one: str, other: str, task: str) -> dict:
    figures = paper.figures[one].get(task), paper.figures[other].get(task)
    published = None if None in figures else figures[0] / figures[1] - 1
    return {**differences[task], "paper": published}


def _product(experiment: Experiment, name: str):
    variant = next(variant for variant in experiment.variants if variant.name == name)
    config = experiment.config_of(variant, 1)
    return config.towers[config.export.product_tower]


def _count(section, tokens: int) -> int:
    # TensorFlow is needed for nothing else here.
    from tfsage.experiments.parameters import count_parameters

    return count_parameters(section, tokens)


def _paper_parameters(paper: Paper, name: str, section) -> dict:
    """What building the tower with the paper's sizes gives, and what the paper says."""
    if name not in paper.parameters:
        return {}
    from tfsage.experiments.parameters import PAPER_TOKENS

    sizes = {"kind": section.kind} | ({"layers": section.layers} if hasattr(section, "layers") else {})
    published = TypeAdapter(TowerConfig).validate_python(sizes)
    return {
        "parameters_at_paper_sizes": _count(published, PAPER_TOKENS),
        "paper_parameters": paper.parameters[name],
    }


def _ours(task: dict | None) -> str:
    if task is None:
        return ""
    value = f"{task['value']:.3f}".removeprefix("0")
    if "difference" not in task:
        return value
    parts = (f"{100 * task['difference'][part]:+.1f}" for part in ("difference", "low", "high"))
    return "{} ({} % [{}, {}])".format(value, *parts).replace("-", "−")


def _published(task: dict | None) -> str:
    if task is None:
        return ""
    if task["paper"] is None:
        return "no figure"
    value = f"{task['paper']:.3f}".removeprefix("0")
    relative = task.get("difference", {}).get("paper")
    return value if relative is None else f"{value} ({100 * relative:+.1f} %)".replace("-", "−")


def _range(values: list[float | None]) -> str:
    if None in values:
        return "no figures"
    low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in (min(values), max(values)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M"
