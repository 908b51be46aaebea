"""`tfsage compare`: what it prints of differences whose answer is known."""

import json

import pytest
from typer.testing import CliRunner

from tests.evaluation.test_paired import write_run
from tests.evaluation.worlds import make_judgements
from tfsage.cli import app
from tfsage.errors import TfsageError
from tfsage.evaluation.comparison import comparison_tables, run_names, verdict_lines


def outcome(low: float, high: float) -> dict:
    difference = (low + high) / 2
    verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
    return {"a": 0.5, "b": 0.5 + difference, "difference": difference, "low": low, "high": high, "verdict": verdict}


def compared(overall: dict, **groups: dict) -> dict:
    strata = {"cold_start": [{"group": name, "pairs": 30, "recall@10": each} for name, each in groups.items()]}
    metrics = {"recall@100": outcome(-0.5, -0.4), "recall@10": overall, "query_recall@10": overall}
    return {"metrics": {name: {**each, "queries": 1200} for name, each in metrics.items()}, "strata": strata}


def comparison(**tasks: dict) -> dict:
    return {"runs": ["runs/old", "runs/new"], "split": "test", "tasks": tasks}


def test_the_verdict_names_the_better_run_and_the_groups_that_depart():
    search = compared(outcome(0.01, 0.032), cold=outcome(-0.08, -0.02), warm=outcome(0.02, 0.05))
    lines = verdict_lines(comparison(search=search, closeup=compared(outcome(-0.01, 0.016))))
    assert lines == [
        "new is better than old on search by 0.021 [0.010, 0.032] in recall@10.",
        "  but worse on search, cold start: cold, by 0.050 [0.020, 0.080].",
        "Undecided on closeup: new minus old is +0.003 [-0.010, +0.016] in recall@10, and the interval holds zero.",
        "2 groups were looked at; by chance alone about one in 20 has an interval without zero.",
    ]


def test_groups_that_say_what_their_task_says_are_not_repeated():
    task = compared(outcome(-0.03, -0.01), cold=outcome(-0.08, -0.02), warm=outcome(-0.02, 0.05))
    assert verdict_lines(comparison(search=task)) == [
        "new is worse than old on search by 0.020 [0.010, 0.030] in recall@10."
    ]


def test_tables_of_metrics_and_of_strata():
    overall, strata = comparison_tables(comparison(search=compared(outcome(0.01, 0.03), cold=outcome(-0.1, 0.1))))
    assert list(overall.columns[-1].cells) == ["▼ worse", "▲ better", "▲ better"]
    assert [list(column.cells) for column in strata.columns[:3]] == [["cold start"], ["cold"], ["30"]]
    assert list(strata.columns[-2].cells) == ["+0.000 [-0.100, +0.100]"]


def test_runs_of_one_name_are_told_apart_by_their_paths():
    assert run_names({"runs": ["/a/seed1", "/b/seed1"]}) == ("/a/seed1", "/b/seed1")
    assert run_names({"runs": ["/a/seed1", "/a/seed2"]}) == ("seed1", "seed2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return write_run(folder / "bad", 4.0), write_run(folder / "good", 0.3)


def test_the_command_prints_tables_and_verdict(runs):
    result = CliRunner().invoke(app, ["compare", *map(str, runs)])
    assert result.exit_code == 0, result.output
    assert "good is better than bad on search_click by" in result.output
    assert "search_click: recall@10 by stratum" in result.output


def test_the_command_prints_json(runs):
    result = CliRunner().invoke(app, ["compare", *map(str, runs), "--json"])
    printed = json.loads(result.stdout)
    assert printed["tasks"]["search_click"]["metrics"]["recall@10"]["verdict"] == "better"
    assert printed["verdict"][0].startswith("good is better than bad")


def test_runs_that_answer_other_questions_are_refused(runs, tmp_path):
    other = write_run(tmp_path / "other", 0.3, make_judgements(2, queries=60, products=200, distractors=150))
    result = CliRunner().invoke(app, ["compare", str(runs[0]), str(other)])
    assert isinstance(result.exception, TfsageError)
    assert "search_click" in str(result.exception)
    unevaluated = CliRunner().invoke(app, ["compare", str(runs[0]), str(runs[1]), "--split", "dev"])
    assert "tfsage evaluate" in str(unevaluated.exception)
