"""Strata and grades of a tiny shop that is checked by hand."""

import numpy as np
import pytest

from tests.data.tiny import tiny_config, tiny_shop, write_tables
from tfsage.config import EvaluationConfig
from tfsage.data.prepare import prepare
from tfsage.data.prepared import PreparedData
from tfsage.evaluation.distractors import choose_distractors
from tfsage.evaluation.facts import load_grades, load_strata
from tfsage.evaluation.task_pairs import load_task_pairs


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The last weeks hold: q3 and p5 (both never seen, p5 without text), on Search; pin c and p3 on Closeup."""
    folder, shop = tmp_path_factory.mktemp("facts"), tiny_shop()
    shop["products"]["colors"][5], shop["engagements"]["timestamp"][11] = None, shop["engagements"]["timestamp"][6]
    shop["products"]["variant_group"] = ["desk", "desk", None, "", "rug", None]
    shop["queries"]["language"] = ["en", "en", "en", "fr"]
    # A variant of "rug" in the test weeks: new as a row, seen as a text.
    shop["queries"] = {
        name: [*values, {"query_id": "q4", "text": "Rugs", "language": None}[name]]
        for name, values in shop["queries"].items()
    }
    for name, value in (("query_id", "q4"), ("entity_id", "p2"), ("timestamp", shop["engagements"]["timestamp"][6])):
        shop["engagements"][name].append(value)
    for name, value in (
        ("surface", "search"),
        ("query_type", "query"),
        ("entity_type", "product"),
        ("action", "click"),
        ("count", 2),
    ):
        shop["engagements"][name].append(value)
    shop["relevance"] = {
        "query_type": ["query"] * 5,
        "query_id": ["q3", "q3", "q3", "q0", "q4"],
        "entity_type": ["product"] * 5,
        "entity_id": ["p5", "p5", "p1", "p0", "p4"],
        "grade": [1.0, 2.0, 0.0, 3.0, 0.5],
    }
    shop["exclusions"] = {"query_type": ["query"], "query_id": ["q4"], "entity_type": ["product"], "entity_id": ["p4"]}
    prepare(write_tables(folder / "tables", shop), tiny_config(), folder / "data")
    return PreparedData(folder / "data")


def of_task(data, name):
    task = next(task for task in tiny_config().tasks if task.name == name)
    chosen = choose_distractors(data.product_ids.gather(np.arange(6)), 100, seed=1)
    return task, load_task_pairs(data, task, "test", EvaluationConfig(), chosen)


def groups(data, name):
    """Stratum → what each pair (query, product) is."""
    task, pairs = of_task(data, name)
    asked = data.queries(task.query_type).ids.gather(pairs.query_rows[pairs.judgements.query])
    names = list(zip(asked, data.product_ids.gather(pairs.judgements.product), strict=True))
    return {
        stratum: {pair: each.names[code] if code >= 0 else None for pair, code in zip(names, each.code, strict=True)}
        for stratum, each in load_strata(data, task, pairs).items()
    }


def test_search_pairs_are_in_their_groups(data):
    strata, novel, variant = groups(data, "search"), ("q3", "p5"), ("q4", "p2")
    assert strata["novelty"] == {novel: "novel query, novel product", variant: "seen query, seen product"}
    assert strata["cold_start"] == {novel: "cold", variant: "warm"}
    assert strata["popularity_decile"][novel] == "no engagements"
    assert strata["modality"] == {novel: "image only", variant: "text and image"}
    assert strata["query_length"] == {novel: "2", variant: "1"}
    assert strata["language"] == {novel: "fr", variant: None}


def test_closeup_pairs_have_no_words(data):
    strata = groups(data, "closeup")
    assert set(strata) == {"popularity_decile", "cold_start", "novelty", "modality"}
    assert strata["novelty"] == {("c", "p3"): "novel query, seen product"}, "p3 was trained on, on Search"
    assert strata["popularity_decile"] == {("c", "p3"): "no engagements"}, "but not on Closeup"


def test_grades_are_of_the_queries_that_are_asked_and_means_of_several(data):
    task, pairs = of_task(data, "search")
    grades = load_grades(data, task, pairs)
    asked = data.queries("query").ids.gather(pairs.query_rows[grades.query])
    found = sorted(zip(asked, data.product_ids.gather(grades.product), grades.grade, strict=True))
    assert found == [("q3", "p1", 0.0), ("q3", "p5", 1.5)], "q0 is not asked, and p4 is excluded for q4"
    assert load_grades(data, *of_task(data, "closeup")) is None


def test_variant_groups_come_through_preparation(data):
    group = data.entity("product").variant_groups
    assert group[0] == group[1] >= 0 and group[4] >= 0 and group[4] != group[0]
    assert (group[[2, 3, 5]] == -1).all()
