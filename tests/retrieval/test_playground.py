"""The playground in a real browser."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import DESK, PHONE


@pytest.fixture
def page(browser, world) -> Iterator[Page]:
    """The open playground; at the end nothing may have been asked of anybody else, or gone wrong unseen."""
    context = browser.new_context(viewport=DESK)
    page, strangers, errors = context.new_page(), [], []
    home = urlsplit(str(world.http.base_url)).netloc
    page.on("request", lambda request: strangers.append(request.url) if urlsplit(request.url).netloc != home else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(str(world.http.base_url))
    page.wait_for_selector("#field option", state="attached")
    yield page
    context.close()
    assert [url for url in strangers if not url.startswith("data:")] == []
    assert errors == []


def titles(page: Page, column: int = 0) -> list[str]:
    return page.locator("section").nth(column).locator("h3").all_inner_texts()


def search(page: Page, text: str) -> None:
    page.fill("#query", text)
    page.keyboard.press("Enter")
    expect(page.locator("section h2").first).to_have_text(f"“{text}”")


def no_violations(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_search_shows_cards_with_scores_reasons_and_where_the_time_went(page, world):
    expect(page.locator("#query")).to_be_focused()
    search(page, "walnut desk")
    expected = world.http.post("/search", json={"query": "walnut desk", "k": 12}).json()["hits"]
    assert titles(page) == [hit["title"] for hit in expected]
    first = page.locator("li[data-id]").first
    expect(first.locator(".score span")).to_have_text(f"{expected[0]['score']:.4f}")
    expect(first.locator(".sources")).to_contain_text("dense #1")
    expect(first.locator(".why")).to_contain_text("near “walnut desk”")
    expect(page.locator(".facts")).to_contain_text("12 products in")
    search(page, "walnut lamp")
    search(page, "walnut desk")
    expect(page.locator(".facts")).to_contain_text("cache hit")
    # One product has a picture, another a file that is none.
    expect(page.locator("li[data-id] img:visible")).to_have_count(1)
    page.wait_for_function("document.querySelector('li[data-id] img:not([hidden])').naturalWidth > 0")
    no_violations(page)


def test_more_goes_on_where_the_page_ended(page):
    search(page, "oak lamp")
    page.click(".more")
    expect(page.locator("li[data-id]")).to_have_count(24)
    page.click(".more")
    expect(page.locator("li[data-id]")).to_have_count(30)
    expect(page.locator(".more")).to_be_hidden()
    assert len(set(titles(page))) == 30


def test_the_keyboard_is_enough(page):
    search(page, "red sofa")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    second = page.locator("li[data-id]").nth(1)
    expect(second).to_be_focused()
    name = second.locator("h3").inner_text()
    page.keyboard.press("p")
    expect(page.locator("#picked li")).to_have_text([f"{name} ×"])
    expect(second.locator(".pick")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("s")
    expect(page.locator("section h2")).to_have_text(f"Similar to {name}")
    assert name not in titles(page)
    page.keyboard.press("h")
    expect(page.locator("section h2")).to_have_text(f"Home of somebody who liked {name}")
    page.keyboard.press("/")
    expect(page.locator("#query")).to_be_focused()


def test_home_of_several_products(page):
    search(page, "steel sink")
    for place in (0, 11):
        page.locator(".pick").nth(place).click()
    chosen = [titles(page)[place] for place in (0, 11)]
    page.click("#recommend")
    expect(page.locator("section h2")).to_have_text(f"Home of somebody who liked {', '.join(chosen)}")
    expect(page.locator(".facts")).to_contain_text("cluster 1: 1 picked, importance 1.00")
    assert not set(chosen) & set(titles(page))
    assert page.locator(".sources").first.inner_text().startswith("cluster 1 #1")
    page.click("#clear")
    expect(page.locator("#tray")).to_be_hidden()


def test_products_that_came_after_the_bundle_are_cards_like_others(page, added):
    search(page, "brass lamp")
    page.click(".more")
    page.click(".more")
    expect(page.locator("li[data-id]")).to_have_count(33)
    card = page.locator("li[data-id=n1]")
    expect(card.locator("h3")).to_have_text("brass lamp")
    expect(card.locator(".sources")).to_contain_text("added since the bundle")
    expect(page.locator(".sources", has_text="added since the bundle")).to_have_count(5)
    page.wait_for_function("document.querySelector('li[data-id=n1] img:not([hidden])').naturalWidth > 0")
    card.locator(".pick").click()
    no_violations(page)
    card.locator(".similar").click()
    expect(page.locator("section h2")).to_have_text("Similar to brass lamp")
    assert "brass lamp" not in titles(page)
    page.click("#recommend")
    expect(page.locator("section h2")).to_have_text("Home of somebody who liked brass lamp")
    assert "brass lamp" not in titles(page)


def test_filters_and_words(page):
    search(page, "oak lamp")
    page.select_option("#field", "colors")
    page.fill("#value", "steel")
    page.click("#filter button")
    expect(page.locator("li[data-id]")).to_have_count(5)
    assert all(title.startswith("steel") for title in titles(page))
    page.select_option("#field", "price")
    page.fill("#value", "25-26")
    page.click("#filter button")
    expect(page.locator("li[data-id]")).to_have_count(2)
    page.check("#hybrid")
    expect(page.locator(".facts")).to_contain_text("hybrid")
    for _ in range(2):
        page.locator("#filters button").first.click()
    expect(page.locator("li[data-id]")).to_have_count(12)
    expect(page.locator(".sources").first).to_contain_text("lexical #1")


def test_two_bundles_side_by_side(page, world):
    page.check("#compare")
    page.fill("#query", "red sofa")
    page.keyboard.press("Enter")
    expect(page.locator("section")).to_have_count(2)
    assert world.bundle.folder.name in page.locator("h2").nth(0).inner_text()
    assert titles(page, 0) != titles(page, 1)
    moves = page.locator("section").nth(1).locator(".move").all_inner_texts()
    assert len(moves) == 12
    assert all(move in ("new", "=") or move[0] in "↑↓" for move in moves)
    no_violations(page)


def test_what_goes_wrong_is_said(page):
    page.fill("#query", "   ")
    page.keyboard.press("Enter")
    expect(page.locator("#welcome")).to_be_visible()
    page.select_option("#field", "price")
    page.fill("#value", "cheap")
    page.click("#filter button")
    expect(page.locator("#error")).to_have_text("price: give a number or a range, such as 10-20")
    page.evaluate("document.querySelector('#query').value = 'x'.repeat(2001)")
    page.press("#query", "Enter")
    expect(page.locator("#error")).to_contain_text("query: String should have at most 2000 characters")
    search(page, "oak")
    expect(page.locator("#error")).to_be_hidden()
    page.route("**/search", lambda route: route.abort())
    page.keyboard.press("/")
    page.keyboard.press("Enter")
    expect(page.locator("#error")).to_have_text("The retrieval service cannot be reached. Is it running?")
    page.unroute("**/search")
    page.route("**/search", lambda route: route.fulfill(status=502, body="<html>"))
    page.keyboard.press("Enter")
    expect(page.locator("#error")).to_have_text("The service answered with status 502.")


def test_titles_are_text_never_markup_and_long_ids_keep_every_digit(page, world):
    hits = world.http.post("/search", json={"query": "oak", "k": 1}).json()
    hits["hits"][0] |= {"title": "<img src=x onerror=alert(1)>", "product_id": 2**63 - 1, "image": None}
    body = json.dumps(hits, separators=(",", ":"))
    page.route("**/search", lambda route: route.fulfill(body=body, content_type="application/json"))
    search(page, "oak")
    assert titles(page) == ["<img src=x onerror=alert(1)>"]
    expect(page.locator("li .id")).to_have_text("9223372036854775807")


def test_a_narrow_screen_needs_no_sideways_scrolling(page):
    page.set_viewport_size(PHONE)
    page.check("#compare")
    page.fill("#query", "walnut desk")
    page.keyboard.press("Enter")
    expect(page.locator("section")).to_have_count(2)
    page.locator(".pick").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    first, second = (page.locator("section").nth(n).bounding_box() for n in range(2))
    assert second["y"] > first["y"] + first["height"] - 1


def test_dark_mode(page):
    search(page, "walnut desk")
    script = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(script)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(script) != light
    no_violations(page)


def test_a_link_opens_with_its_search(page, world):
    page.goto(f"{world.http.base_url}/#oak%20rug")
    page.reload()
    expect(page.locator("section h2")).to_have_text("“oak rug”")
