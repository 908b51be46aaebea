from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from tfsage.experiments.grid import Variant
from tfsage.experiments.tables import markdown_table, result_tables, rich_table

EXPERIMENT = SimpleNamespace(
    name="family/name", metric="recall", variants=(Variant("plain", "", {}), Variant("other", "", {}))
)


def values(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "runs": [value]}


def variant(value, **more):
    beside = {"seeds": [1, 2], "hub_share": 0.125, "coverage": 0.5, "temperature": 0.0712, "seconds_per_step": 0.0345}
    return {**beside, **{metric: values(value) for metric in ("recall@10", "recall@100", "tail_recall@10")}, **more}


@pytest.fixture
def tables():
    paired = {"difference": -0.0123, "low": -0.02, "high": 0.001, "runs": [-0.01], "verdict": "undecided"}
    differences = dict.fromkeys(("recall@10", "recall@100", "tail_recall@10"), paired)
    results = {
        "split": "dev",
        "reference": "plain",
        "metrics": ["recall@10", "recall@100", "tail_recall@10"],
        "queries": 1234,
        "tail": {"at_most": 3.0, "share": 0.51},
        "variants": {"other": variant(0.4, differences=differences), "plain": variant(0.5)},
    }
    return result_tables(EXPERIMENT, results)


def test_rows_come_in_the_order_of_the_experiment(tables):
    recall, beside = tables
    assert recall.title == "family/name, dev: 1,234 queries"
    assert recall.rows == [
        ["plain", ".500 [.400, .600]", "", ".500", "", ""],
        ["other", ".400 [.300, .500]", "−.012 [−.020, +.001]", ".400", "−.012 [−.020, +.001]", "undecided"],
    ]
    assert beside.rows[1] == ["other", "2", ".400", "−.012 [−.020, +.001]", "12.5%", "50.0%", "0.071", "34"]


def test_markdown_has_a_line_for_each_row_with_as_many_cells(tables):
    for table in tables:
        title, _, *lines = markdown_table(table).splitlines()
        assert title == table.title
        assert len(lines) == 2 + len(table.rows)
        assert {line.count("|") for line in lines} == {len(table.columns) + 1}


def test_the_console_shows_the_same(tables):
    screen = Console(width=120, record=True, file=StringIO())
    screen.print(rich_table(tables[0]))
    shown = screen.export_text()
    assert "−.012 [−.020, +.001]" in shown and "undecided" in shown
