"""The page is well formed, asks for nothing, and shows every number that report.json holds."""

import copy
import re
from html.parser import HTMLParser

import pytest

from tests.evaluation.report.worlds import DECILES, NOVELTY, K, make_metrics, make_report
from tfsage.evaluation.report import render_report


class Page(HTMLParser):
    """Collects text, headings and attributes, and checks that every element is closed in order."""

    VOID = ("meta", "br")

    def __init__(self, page: str):
        super().__init__()
        self.text, self.open, self.attributes, self.headings = "", [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += re.sub(r"\n\s*", "", data)


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(make_report())


def test_the_page_is_well_formed_and_asks_for_nothing(page):
    attributes = Page(page).attributes
    assert not re.search(r"https?:|//|@import|url\(", page.replace("</", "").replace("/>", ""))
    assert not [tag for tag, name, _ in attributes if name == "src" or tag in ("script", "link", "iframe")]
    targets = {value for _, name, value in attributes if name == "id"}
    links = [value for _, name, value in attributes if name == "href"]
    assert links and all(link[0] == "#" and link[1:] in targets for link in links)


def test_every_headline_number_is_on_the_page(page):
    text = Page(page).text
    for task, measured in make_metrics()["tasks"].items():
        assert task in text
        for system in (measured, *measured["baselines"].values()):
            for metric in [f"{name}@{k}" for name in ("recall", "query_recall") for k in K]:
                value = system[metric]
                assert f"{value['value']:.3f}[{value['low']:.3f}, {value['high']:.3f}]" in text
        for difference in measured["differences"].values():
            paired = difference["recall@10"]
            assert f"{paired['difference']:+.3f}" in text
    assert "closeup_save" in text and "v1-0123456789ab" in text


def test_systems_that_nobody_foresaw_have_a_column_and_a_line(page):
    text = Page(page).text
    assert "two tower" in text and "this model − two tower" in text


def test_strata_graded_ties_hubness_serving_and_index_are_shown(page):
    text = Page(page).text
    for group in (*DECILES, *NOVELTY, "cold", "warm"):
        assert group in text
    assert "ndcg@10" in text and "recall@10 by novelty" in text
    assert "recall@100 over the number of distractors" in text
    assert "median rank, ties won" in text
    assert "engaged products" in text and "11.3 %" in text
    assert "index (scann_tree)" in text and "-0.017[-0.019, -0.015]" in text and "98.3 %" in text
    assert "40 leaves, 100 reorder" in text and "0.9610" in text


def test_what_others_wrote_is_escaped(page):
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_names_in_charts_are_escaped():
    report = make_report(history=[{"step": 1, "loss": {"a<b": 1.0}, "temperature": {}}])
    report["metrics"]["tasks"]["search_click"]["strata"]["novelty"][0]["group"] = "<i>&"
    page = render_report(report)
    assert "<i>&" not in page and "a<b" not in page
    assert "&lt;i&gt;&amp;" in page


def test_history_and_data_are_shown(page):
    text = Page(page).text
    assert "temperature" in text
    assert "tables · pins · rows12,345" in text
    assert "dates2024-01-01, 2024-03-01" in text
    assert "splitpairsengagements" in text and "train4,3219,876" in text


def test_missing_features_are_told_of_every_entity_type(page):
    text = Page(page).text
    assert "Missing features, for which zeros stand" in text
    assert "pintitle12.3 %unified" in text and "captions100.0 %no such columnunified, b" in text


def test_missing_features_are_shown_without_a_report_of_the_data():
    text = Page(render_report(make_report(data={}))).text
    assert "captions100.0 %no such columnunified, b" in text and "preparation counted" not in text


def test_alarms_stand_at_the_top(page):
    assert "No alarm." in page and "Alarm ·" not in page
    metrics = make_metrics()
    metrics["tasks"]["closeup_checkout"]["hubness"]["alarm"] = "one product stands in 40 % of all lists"
    page = render_report(make_report(metrics=metrics))
    assert "No alarm." not in page
    assert page.index("one product stands in 40 % of all lists") < page.index("<nav")


def test_headings_descend_one_level_at_a_time(page):
    headings = Page(page).headings
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(headings, headings[1:], strict=False))


def test_every_chart_is_named_and_has_its_numbers(page):
    images = re.findall(r'<svg viewBox="[^"]*" role="img" aria-label="([^"]+)"', page)
    assert len(images) > 10
    assert page.count('<details class="numbers">') == len(images) == page.count("<figcaption>")


def test_series_can_be_told_apart_without_colour(page):
    legend = re.search(r'<ul class="legend">(.*?)</ul>', page).group(1)
    keys = [re.sub(r"series-\d", "", key) for key in re.findall(r"<svg.*?</svg>", legend)]
    assert len(keys) == 6 and len(set(keys)) == 6


def test_what_is_not_there_is_left_out():
    bare = make_report(examples={}, history=[], data={}, index=None, serving=None)
    for task in bare["metrics"]["tasks"].values():
        for name in ("strata", "graded", "ranks", "distractor_curve", "alarms"):
            task.pop(name, None)
        task["baselines"], task["differences"] = {}, {}
        task.pop("fusion", None)
    for name in ("distractor_set", "missing_features"):
        bare["metrics"].pop(name)
    text = Page(render_report(bare)).text
    for heading in ("Strata", "Differences", "Index and serving", "Training", "Examples", "Data"):
        assert heading not in text
    assert "Hubness" in text


def test_an_exact_index_has_a_table_and_no_curve():
    exact = {"effort": {"leaves": None, "reorder": None}}
    point = {**exact, "recall": 1.0, "recalls": {}, "milliseconds": 0.2}
    about = {"kind": "numpy", "k": 10, "recall": 1.0, "target": 0.95, "tuned_on": "queries"}
    page = render_report(make_report(index={**about, **exact, "curve": [point]}))
    assert "of the index over its effort" not in page
    assert "exact1.00000.2✓" in Page(page).text


def test_the_report_is_not_changed_by_being_shown():
    report = make_report()
    before = copy.deepcopy(report)
    render_report(report)
    assert report == before
