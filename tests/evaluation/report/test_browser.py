"""The report in a real browser."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser import DESK, PHONE
from tests.evaluation.report.worlds import make_metrics, make_report
from tfsage.evaluation.report import render_report


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    metrics = make_metrics()
    metrics["tasks"]["search_click"]["alarms"] = ["one product stands in 40 % of all lists"]
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_report(make_report(metrics=metrics)), encoding="utf-8")
    return file


def opened(browser: Browser, file: Path, viewport: dict, **options) -> Page:
    """The page with every <details> opened."""
    page = browser.new_page(viewport=viewport, **options)
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    return page


def width(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


def colours(page: Page) -> dict[str, str]:
    """Computed colours of the page, of a card, of words, and of the first line of a chart."""
    places = {"page": "body", "card": ".card", "line": "polyline.series-0"}
    script = "([place, name]) => getComputedStyle(document.querySelector(place))[name]"
    found = {name: page.evaluate(script, [place, "backgroundColor"]) for name, place in places.items()}
    return found | {
        "words": page.evaluate(script, ["body", "color"]),
        "line": page.evaluate(script, [".line", "stroke"]),
    }


def brightness(colour: str) -> float:
    """Of a computed colour `rgb(r, g, b)`, from 0 to 1."""
    return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / (3 * 255)


def test_nothing_is_requested_and_nothing_goes_wrong(browser, file):
    page, requests, complaints = browser.new_page(), [], []
    page.route("**/*", lambda route: (requests.append(route.request.url), route.continue_()))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri(), wait_until="networkidle")
    assert requests == [file.as_uri()]
    assert complaints == []
    assert page.title() == "a run · evaluation"
    page.close()


def test_a_phone_shows_it_without_sideways_scrolling(browser, file):
    page = opened(browser, file, PHONE)
    assert width(page) <= page.evaluate("innerWidth") == 360
    table = page.locator(".scroll table").first
    assert table.bounding_box()["width"] > 360, "a wide table scrolls inside its own box"
    charts = page.locator("figure > svg")
    boxes = [charts.nth(place).bounding_box() for place in range(charts.count())]
    assert len(boxes) > 10
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 360 for box in boxes)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"width: 400px\">wide</p>')")
    assert width(page) > 360, "a page that is too wide would be noticed"
    page.close()


def test_light_dark_and_print(browser, file):
    light = opened(browser, file, DESK, color_scheme="light")
    dark = opened(browser, file, DESK, color_scheme="dark")
    by_day, by_night = colours(light), colours(dark)
    assert all(by_day[name] != by_night[name] for name in by_day)
    assert brightness(by_day["page"]) > 0.9 > 0.2 > brightness(by_night["page"])
    assert brightness(by_night["words"]) > 0.8

    dark.emulate_media(media="print", color_scheme="dark")
    on_paper = colours(dark)
    assert on_paper["words"] == by_day["words"] and on_paper["card"] == by_day["card"]
    assert not dark.locator("nav").is_visible() and light.locator("nav").is_visible()
    assert dark.locator("main").is_visible()
    printed = dark.pdf(format="A4")
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") > 1
    light.close(), dark.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_no_barrier(browser, file, viewport, scheme):
    page = opened(browser, file, viewport, color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    assert not found, [(each["id"], each["help"], each["nodes"][0]["html"]) for each in found]
    page.close()


def test_axe_would_find_a_barrier(browser, file):
    page = opened(browser, file, DESK)
    page.evaluate("document.querySelector('p').style.color = '#ccc'")
    assert "color-contrast" in {each["id"] for each in Axe().run(page).response["violations"]}
    page.close()


def test_words_in_charts_are_not_cut_off(browser, file):
    page = opened(browser, file, DESK)
    outside = page.evaluate(
        """() => [...document.querySelectorAll('figure > svg')].flatMap(svg => {
            const box = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')]
                .filter(text => {
                    const words = text.getBoundingClientRect();
                    return words.left < box.left - 1 || words.right > box.right + 1 || words.bottom > box.bottom + 1;
                })
                .map(text => text.textContent);
        })"""
    )
    assert outside == []
    page.close()
