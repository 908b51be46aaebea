from tests.evaluation.report.worlds import make_metrics, make_serving
from tfsage.evaluation.report import quality_markdown
from tfsage.evaluation.report.markdown import table_markdown
from tfsage.evaluation.report.tables import Cell, Table


def test_the_card_has_headline_strata_hubness_alarms_and_serving():
    metrics = make_metrics()
    metrics["tasks"]["search_click"]["alarms"] = ["a hub"]
    lines = quality_markdown(metrics, make_serving())
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
    lines = quality_markdown(make_metrics(), make_serving())
    width = None
    for line in lines:
        if line.startswith("|"):
            cells = line.count("|")
            assert width in (None, cells)
            width = cells
        else:
            width = None


def test_without_serving_and_alarms():
    lines = quality_markdown(make_metrics(), None)
    assert lines[0].startswith("No alarm")
    assert not any("serving" in line for line in lines)


def test_words_cannot_break_a_table():
    lines = table_markdown(Table("a|b", ["x"], [[Cell("p|q\nr <b>", "[1, 2]")]]))
    assert lines == ["### a\\|b", "", "| x |", "|---|", "| p\\|q r &lt;b> [1, 2] |"]
