"""report.json is gathered from the run, its data and its bundle, and the page shows it."""

import json

from tests.evaluation.report.worlds import make_index, make_metrics, make_report, make_serving
from tfsage.bundle import Bundle, Canaries, Manifest, ProductCanaries
from tfsage.evaluation.examples import Example
from tfsage.evaluation.report import gather_report, render_report, write_report
from tfsage.evaluation.report.contents import alarms, load_report

EXAMPLES = {"search_click": [Example("desk", 0.5, ["oak desk"], [("oak desk", True), ("lamp", False)])]}


def test_files_of_the_run_and_of_the_data_are_read(tmp_path):
    run, data = tmp_path / "shop", tmp_path / "data"
    run.mkdir(), data.mkdir()
    history = make_report()["history"]
    (run / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in history))
    (run / "serving.json").write_text(json.dumps(make_serving()))
    (run / "serving_dev.json").write_text("{}")
    (data / "report.json").write_text('{"products": {"rows": 77}}')
    write_report(run / "report.html", run, data, make_metrics(), EXAMPLES)
    report = load_report(run)
    assert (report["title"], report["history"], report["serving"]) == ("shop", history, make_serving())
    assert report["data"] == {"products": {"rows": 77}} and report["index"] is None
    assert report["metrics"] == make_metrics()
    returned = [{"title": "oak desk", "relevant": True}, {"title": "lamp", "relevant": False}]
    example = {"query": "desk", "recall": 0.5, "relevant": ["oak desk"], "returned": returned}
    assert report["examples"] == {"search_click": [example]}
    assert (run / "report.html").read_text() == render_report(report)


def test_dev_has_files_of_its_own(tmp_path):
    (tmp_path / "serving.json").write_text(json.dumps(make_serving()))
    metrics = {**make_metrics(), "split": "dev"}
    write_report(tmp_path / "report_dev.html", tmp_path, tmp_path / "nowhere", metrics, {})
    assert load_report(tmp_path) is None
    report = json.loads((tmp_path / "report_dev.json").read_text())
    assert (report["serving"], report["history"], report["data"]) == (None, [], {})


def test_the_index_of_the_run_s_bundle_is_shown(tmp_path):
    canaries = {
        "canaries": Canaries(queries=[], vectors=[]),
        "product_canaries": ProductCanaries(inputs={}, vectors=[]),
    }
    about = {"space_id": "0123456789ab", "dimension": 4, "tokenizer_fingerprint": "", "hash_fingerprint": ""}
    inputs = {"versions": {}, "text_fields": (), "image_column": None, "query_tower": False}
    manifest = Manifest(**about, **inputs, **canaries, products=9, index=make_index())
    (tmp_path / "bundle").mkdir()
    Bundle(tmp_path / "bundle", manifest).update()
    report = gather_report(tmp_path, tmp_path, make_metrics(), {})
    assert report["index"] == make_index()


def test_alarms_are_said_once():
    metrics = make_metrics()
    search = metrics["tasks"]["search_click"]
    search["hubness"]["alarm"] = "a hub"
    search["alarms"] = ["collapsed", "a hub"]
    search["collapsed"] = True
    found = [("search_click", "collapsed"), ("search_click", "a hub")]
    assert [(each["task"], each["alarm"]) for each in alarms(metrics)] == found


def test_a_collapse_is_an_alarm_in_the_first_format_too():
    metrics = make_metrics()
    task = metrics["tasks"]["closeup_checkout"]
    del task["alarms"], task["hubness"]["alarm"]
    task["collapsed"], task["mean_cosine"] = True, {"queries": 0.3, "products": 0.998}
    (alarm,) = alarms(metrics)
    assert alarm["task"] == "closeup_checkout"
    assert "collapsed" in alarm["alarm"] and "0.998" in alarm["alarm"]
