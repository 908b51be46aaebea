import io

from rich.console import Console

from tfsage.evaluation.table import metrics_table, serving_table


def value(number):
    return {"recall@10": {"value": number, "low": number - 0.01, "high": number + 0.01, "queries": 5}}


def test_systems_stand_beside_each_other():
    tasks = {
        "search_click": {**value(0.5), "fusion": value(0.6), "baselines": {"random": value(0.1), "bm25": value(0.4)}},
        "closeup_click": {**value(0.3), "baselines": {"random": value(0.2), "sum": value(0.25)}},
    }
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(metrics_table({"k": [10, 100], "split": "test", "distractors": 1234, "tasks": tasks}))
    lines = [line.split("│") for line in console.export_text().splitlines() if "click" in line]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells[0][1:8] == ["search_click", "0.500", "0.490 – 0.510", "0.600", "0.100", "0.400", ""]
    assert cells[1][1:8] == ["closeup_click", "0.300", "0.290 – 0.310", "", "0.200", "", "0.250"]


def test_every_step_of_serving_is_a_line():
    lost = {"difference": -0.0123, "low": -0.02, "high": -0.005, "queries": 5}
    steps = [
        {"step": "exact float32", **value(0.6), "overlap@10": 1.0},
        {"step": "index (scann_tree)", **value(0.5877), "lost@10": lost, "overlap@10": 0.97},
    ]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(serving_table("search_click", steps, 10))
    lines = [line.split("│") for line in console.export_text().splitlines() if "exact f" in line or "scann" in line]
    cells = [[cell.strip() for cell in line][1:-1] for line in lines]
    assert cells == [
        ["exact float32", "0.6000", "", "", "100.0%"],
        ["index (scann_tree)", "0.5877", "-0.0123", "-0.0200 – -0.0050", "97.0%"],
    ]
