import json

from rich.console import Console

from tfsage.health.findings import Finding
from tfsage.health.table import findings_table, remedies_table

HEALTHY = Finding("zero_vectors", "vectors without length", 0.0, 0.01, "leave them out", before=0.25)
ALARM = Finding("overlap", "first 10", 0.2, 0.5, "compare both runs", at_most=False, note="17 queries")
UNKNOWN = Finding("old_queries", "recall", None, 0.95, "wait", at_most=False)


def printed(table) -> str:
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_what_was_measured_stands_beside_its_threshold():
    text = printed(findings_table([HEALTHY, ALARM, UNKNOWN], "health"))
    assert "17 queries" in text
    assert "≤ 0.01" in text and "≥ 0.5" in text and "0.25" in text
    assert [sign in text for sign in ("✓ healthy", "✗ alarm", "– not measured")] == [True] * 3


def test_only_alarms_need_a_remedy():
    text = printed(remedies_table([HEALTHY, ALARM, UNKNOWN]))
    assert "compare both runs" in text
    assert "leave them out" not in text and "wait" not in text


def test_the_earlier_value_has_a_column_only_where_there_is_one():
    assert "before" in printed(findings_table([HEALTHY], "health"))
    assert "before" not in printed(findings_table([ALARM], "health"))


def test_a_value_that_is_not_a_number_is_an_alarm_and_null_in_json():
    broken = Finding("canaries", "cosine", float("nan"), 0.99, "restore it", at_most=False)
    assert broken.verdict == "alarm"
    assert json.loads(json.dumps(broken.as_json(), allow_nan=False))["value"] is None
    assert HEALTHY.as_json()["verdict"] == "healthy"
