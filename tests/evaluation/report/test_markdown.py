from tests.evaluation.report.worlds import make_metrics, make_report
from tfsage.evaluation.report import report_markdown
from tfsage.evaluation.report.markdown import table_markdown
from tfsage.evaluation.report.tables import Cell, Table


def test_the_card_has_headline_strata_hubness_alarms_and_serving():
    metrics = make_metrics()
    metrics["tasks"]["search_click"]["alarms"] = ["a hub"]
    lines = report_markdown(make_report(metrics=metrics))
    assert lines[0] == "- **Alarm, search_click:** a hub"
    text = "\n".join(lines)
    assert "| search_click | 0.620 [0.600, 0.640] | 0.650 [0.630, 0.670] |" in text
    assert "| popularity decile | no engagements | 100 | 9.1 % | 0.372 [0.352, 0.392] |" in text
    assert "| closeup_checkout | engaged products | 5.7 % |" in text
    assert "| search_click | index (scann_tree) | 0.583 [0.563, 0.603] | -0.017 [-0.019, -0.015] | 98.3 % |" in text
    assert "ndcg@10" in text
    assert "| pin | captions | 100.0 % no such column | unified, b |" in text
    assert lines[-1].startswith(
        "95 % intervals by bootstrap over queries (1,000 draws); test pairs; 20,000 distractors"
    )


def test_every_table_has_as_many_cells_as_columns():
    lines = report_markdown(make_report())
    width = None
    for line in lines:
        if line.startswith("|"):
            cells = line.count("|")
            assert width in (None, cells)
            width = cells
        else:
            width = None


def test_without_serving_and_alarms():
    lines = report_markdown(make_report(serving=None))
    assert lines[0].startswith("No alarm")
    assert not any("serving" in line for line in lines)


def test_curves_are_tables():
    text = "\n".join(report_markdown(make_report()))
    assert "| task | system | 1 | 10 | 100 | 1,000 |" in text
    assert "| search_click | this model | 0.186 | 0.620 | 0.868 | 0.992 |" in text
    assert "### recall@10 over the number of distractors" in text
    assert "| search_click | this model | 0.620 | 0.558 | 0.496 | 0.434 |" in text
    assert "| step | loss: all | loss: search_click | temperature: product |" in text
    assert "| 150 | 6.000 | 6.333 | 0.070 |" in text
    assert "| 40 leaves, 100 reorder | 0.9610 | 0.4 | ✓ |" in text


def test_a_long_history_is_told_from_its_first_to_its_last_step():
    history = [{"step": step, "loss": {"all": 1.0}, "temperature": {}} for step in range(10, 1010, 10)]
    lines = report_markdown(make_report(history=history))
    steps = [line.split(" | ")[0] for line in lines[lines.index("### Training") + 4 :]]
    told = steps[: steps.index("")]
    assert told[0] == "| 10" and told[-1] == "| 1,000" and len(told) == 12


def test_examples_are_told_and_cannot_break_out():
    (line,) = [line for line in report_markdown(make_report()) if "alert" in line]
    assert line.startswith("- **&lt;script>alert(1)&lt;/script>** (recall@")
    assert line.endswith("desk ✓; (no title). Engaged: desk; oak desk; a desk")


def test_what_is_not_there_is_left_out():
    text = "\n".join(report_markdown(make_report(history=[], examples={}, data={}, index=None)))
    for heading in ("Training", "Examples", "Index"):
        assert heading not in text


def test_words_cannot_break_a_table():
    lines = table_markdown(Table("a|b", ["x"], [[Cell("p|q\nr <b>", "[1, 2]")]]))
    assert lines == ["### a\\|b", "", "| x |", "|---|", "| p\\|q r &lt;b> [1, 2] |"]
