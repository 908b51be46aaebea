import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.evaluation.worlds import make_judgements, unit
from tfsage.config import EvaluationConfig
from tfsage.evaluation.baselines import rank_randomly
from tfsage.evaluation.examples import Example
from tfsage.evaluation.measure import measure_task
from tfsage.evaluation.ranks import rank_rows
from tfsage.evaluation.report import render_report, write_report

CONFIG = EvaluationConfig(k=(5, 20), bootstrap=100, fuse_bm25=True)
EXAMPLES = {"search_click": [Example("<script>alert(1)</script>", 0.5, ["desk"], [("desk", True), ("", False)])]}
DATA = {
    "tables": {"pins": {"rows": 12345}},
    "dates": ["2024-01-01", "2024-03-01"],
    "pairs": [{"split": "train", "pairs": 4321, "engagements": 9876.0}, {"split": "test", "pairs": 7}],
}
HISTORY = [
    {"step": 50, "loss": {"all": 9.0, "search_click": 9.5}, "temperature": {"product": 0.07}, "throughput": {}},
    {"step": 100, "loss": {"all": 7.0, "search_click": 8.0}, "temperature": {"product": 0.06}, "throughput": {}},
]


class Page(HTMLParser):
    """Collects the text and checks that every element is closed in order."""

    VOID = ("meta", "line", "polyline", "circle", "br")

    def __init__(self, page: str):
        super().__init__()
        self.text, self.open, self.attributes = "", [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def metrics():
    judgements = make_judgements(queries=20, products=100, distractors=100)
    vectors = unit(np.random.default_rng(0).standard_normal((120, 8)))
    lexical = np.random.default_rng(1).random((20, 100))
    baselines = {"random": rank_randomly, "bm25": lambda j: rank_rows((row.copy() for row in lexical), j, "")}
    tasks = {
        "search_click": measure_task(
            vectors[:20], vectors[20:], judgements, CONFIG, baselines, lambda: (row.copy() for row in lexical)
        ).metrics,
        "closeup_click": measure_task(vectors[:20], vectors[20:], judgements, CONFIG, {}).metrics,
    }
    return {
        "split": "test",
        "distractors": 100,
        "products": 100,
        "k": [5, 20],
        "bootstrap": 100,
        "confidence": 0.95,
        "skipped": ["closeup_save"],
        "tasks": tasks,
    }


@pytest.fixture(scope="module")
def page(metrics):
    return render_report("a run", metrics, EXAMPLES, HISTORY, DATA)


def test_the_page_is_well_formed_and_asks_for_nothing(page):
    attributes = Page(page).attributes
    assert not re.search(r"https?:|//|@import|url\(", page.replace("</", "").replace("/>", ""))
    assert not [tag for tag, name, _ in attributes if name in ("src", "href") or tag in ("script", "link", "iframe")]


def test_every_headline_number_is_on_the_page(page, metrics):
    text = Page(page).text
    for task, measured in metrics["tasks"].items():
        assert task in text
        for system in (measured, *measured["baselines"].values()):
            for metric in ("recall@5", "recall@20", "query_recall@5", "query_recall@20"):
                value = system[metric]
                assert f"{value['value']:.3f}[{value['low']:.3f}, {value['high']:.3f}]" in text
    difference = metrics["tasks"]["search_click"]["differences"]["bm25"]["recall@20"]
    assert f"{difference['difference']:+.3f}" in text
    assert "closeup_save" in text


def test_what_others_wrote_is_escaped(page):
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_light_and_dark_and_phones(page):
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_history_and_data_are_shown(page):
    text = Page(page).text
    assert "temperature" in text
    assert "tables · pins · rows12,345" in text
    assert "dates2024-01-01, 2024-03-01" in text
    assert "splitpairsengagements" in text and "train4,3219,876" in text


def test_a_collapse_is_an_alarm(metrics, page):
    assert "has collapsed" not in page
    broken = json.loads(json.dumps(metrics))
    broken["tasks"]["closeup_click"]["collapsed"] = True
    assert "closeup_click: the embedding has collapsed" in Page(render_report("a run", broken, {}, [], {})).text


def test_without_history_or_data_report(tmp_path, metrics):
    write_report(tmp_path / "report.html", tmp_path, tmp_path, metrics, EXAMPLES)
    Page((tmp_path / "report.html").read_text())


def test_files_of_the_run_are_read(tmp_path, metrics):
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in HISTORY))
    (tmp_path / "report.json").write_text(json.dumps({"products": {"rows": 77}}))
    write_report(tmp_path / "report.html", tmp_path, tmp_path, metrics, EXAMPLES)
    text = Page((tmp_path / "report.html").read_text()).text
    assert "products · rows" in text and "Training" in text
