"""The results of an experiment as a page: bars for every variant, on a phone, by day and by night."""

import copy
import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import DESK, PHONE
from tests.evaluation.report.test_page import Page
from tfsage.experiments.page import render_results
from tfsage.experiments.tables import Table

METRICS = ["recall@10", "recall@100"]
VARIANTS = {"itemsage": 0.5, "image_only_with_a_long_name": 0.4, "pos_only": 0.3}
TABLES = [Table("family/name, dev: 1,234 queries", ["variant", "recall@10"], [["itemsage", ".500 [.480, .520]"]])]


def around(name: str, value: float, half: float = 0.02) -> dict:
    return {name: value, "low": value - half, "high": value + half, "runs": [value, value]}


def make_results() -> dict:
    """results_SPLIT.json of a paper's experiment; the second variant is behind by its interval, not by every seed."""
    variants, tasks = {}, {}
    for name, value in VARIANTS.items():
        variants[name] = {"seeds": [1, 2], **{metric: around("value", value) for metric in METRICS}}
        task = {**around("value", value + 0.111), "paper": 0.9}
        if name != "itemsage":
            paired = around("difference", value - 0.5)
            variants[name]["differences"] = {metric: {**paired, "verdict": "worse"} for metric in METRICS}
            task["difference"] = {**around("difference", value / 0.5 - 1), "paper": -0.1}
        tasks[name] = {"seeds": [1, 2], "tasks": {"closeup_click": task}}
    variants["image_only_with_a_long_name"]["differences"]["recall@10"] |= {
        "runs": [-0.2, 0.01],
        "verdict": "undecided",
    }
    return {
        "experiment": "family/<name>",
        "split": "dev",
        "reference": "itemsage",
        "metrics": METRICS,
        "queries": 1234,
        "variants": variants,
        "failed": {"pos_only/seed3": "out of memory"},
        "paper": {"title": "t", "metric": "recall@10", "reference": "itemsage", "variants": tasks, "claims": []},
    }


@pytest.fixture(scope="module")
def page() -> str:
    return render_results(make_results(), TABLES)


def test_every_variant_has_a_bar_with_its_interval(page):
    text = Page(page).text
    for name, value in VARIANTS.items():
        for shown in (value, value + 0.111):
            assert f"{name}{shown:.3f}[{shown - 0.02:.3f}, {shown + 0.02:.3f}]" in text
    assert page.count('class="bar ') == 3 * len(VARIANTS), "two metrics, and one task"
    assert "1,234 dev queries" in text and ".500 [.480, .520]" in text


def test_differences_are_of_the_reference_and_need_every_seed(page):
    text = Page(page).text
    assert "pos_only-0.200[-0.220, -0.180]▼" in text and "pos_only-0.400[-0.420, -0.380]▼" in text
    undecided, worse = "image_only_with_a_long_name-0.100[-0.120, -0.080]○", "-0.100[-0.120, -0.080]▼"
    assert text.count(undecided) == 1, "of recall@10, where one seed says otherwise"
    assert text.count(worse) == 1, "of recall@100"


def test_what_failed_is_said_and_words_are_escaped(page):
    assert "pos_only/seed3:out of memory" in Page(page).text.replace(": ", ":")
    assert "family/<name>" not in page and "family/&lt;name&gt;" in page


def test_it_asks_for_nothing_and_links_lead_somewhere(page):
    attributes = Page(page).attributes
    assert not re.search(r"https?:|//|@import|url\(", page.replace("</", "").replace("/>", ""))
    targets = {value for _, name, value in attributes if name == "id"}
    assert {value[1:] for _, name, value in attributes if name == "href"} == {"variants", "tasks", "tables"} <= targets


def test_a_reference_alone_and_no_paper():
    results = copy.deepcopy(make_results())
    del results["paper"]
    results["variants"], results["failed"] = {"itemsage": results["variants"]["itemsage"]}, {}
    text = Page(render_results(results, TABLES)).text
    assert "differences from" not in text and "Task by task" not in text and "Failed" not in text
    assert "itemsage0.500[0.480, 0.520]" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_it_fits_the_screen_and_has_no_barrier(browser, page, tmp_path, viewport, scheme):
    file = tmp_path / "results.html"
    file.write_text(page, encoding="utf-8")
    shown = browser.new_page(viewport=viewport, color_scheme=scheme)
    shown.goto(file.as_uri())
    shown.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert shown.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    bright = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", bright)[0]) > 128) == (scheme == "light")
    assert shown.locator("rect.bar").count() == 9
    found = Axe().run(shown).response["violations"]
    assert not found, [(each["id"], each["help"], each["nodes"][0]["html"]) for each in found]
    shown.close()
