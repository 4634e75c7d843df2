"""The page in a real browser: it draws, sorts, switches, and asks nobody for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foray.decision import details, headline
from foray.records import Comparison

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `dev`)")

expect = playwright.expect
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


class Visit:
    """One page load with everything the browser complained about or asked for."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)
        page.wait_for_selector("[data-chart='confusion'] .main-svg")

    def column(self, number: int) -> list[str]:
        cells = self.page.locator(f"#models tbody tr > :nth-child({number})")
        return [text.split("\n")[0] for text in cells.all_inner_texts()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visit(browser: Any, reported: Path) -> Iterator[Visit]:
    """The page at a desk, light; shared by the tests, in whatever state the last one left it."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme="light")
    yield Visit(context.new_page(), (reported / "report.html").as_uri())
    context.close()


def test_page_opens_without_errors_and_without_requests(visit: Visit, reported: Path) -> None:
    decision = Comparison.load(reported / "comparison.json").decision
    heading = visit.page.locator("h1")
    assert heading.is_visible()
    assert heading.inner_text() == f"{headline(decision)}."
    assert visit.page.locator(".lead").inner_text() == details(decision)
    assert visit.page.locator(".plots .main-svg").count() >= 5  # trade-off, pairs, two curves, confusion
    assert not visit.page.locator(".still").first.is_visible()
    assert visit.errors == []
    external = [url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert external == []
    assert len([url for url in visit.requests if url.startswith("file:")]) == 1


def test_table_sorts_by_click_and_by_keyboard_with_unmeasured_last(visit: Visit) -> None:
    page = visit.page
    latency = page.locator("#models th button", has_text="Latency")
    latency.click()
    fastest_first = ["mobilenet_v2", "efficientnet_b0", "efficientnet_v2_b0", "efficientnet_b4", "mobilenet_v1"]
    assert visit.column(1) == fastest_first
    assert page.locator("#models th[aria-sort]").get_attribute("aria-sort") == "ascending"
    latency.focus()
    page.keyboard.press("Enter")
    assert visit.column(1) == [*reversed(fastest_first[:4]), "mobilenet_v1"]
    page.locator("#models th button", has_text="Test accuracy").click()
    assert visit.column(1)[:3] == ["efficientnet_b0", "efficientnet_v2_b0", "mobilenet_v2"]
    assert page.locator("#models th[aria-sort]").count() == 1
    assert visit.errors == []


def test_buttons_switch_the_cost_and_the_model(visit: Visit) -> None:
    page = visit.page
    page.locator("#tradeoff button", has_text="MACs").click()
    expect(page.locator("#tradeoff .xtitle")).to_contain_text("MACs")
    page.locator("#errors .choices button", has_text="mobilenet_v2").click()
    shown = page.locator("#errors .view:visible")
    assert shown.count() == 1
    assert shown.locator("h3").inner_text() == "mobilenet_v2"
    assert shown.locator(".pictures img").count() == 6
    natural = "pictures => pictures.every(picture => picture.complete && picture.naturalWidth === 150)"
    assert shown.locator(".pictures img").evaluate_all(natural)
    page.locator("#learning .choices button", has_text="mobilenet_v2").click()
    expect(page.locator("#learning .legendtext").first).to_have_text("val")
    assert visit.errors == []


def test_hostile_class_name_is_only_text(visit: Visit) -> None:
    page = visit.page
    ticks = page.locator("#errors .ytick text").all_text_contents()
    assert any(tick.startswith("<script>alert(") for tick in ticks)
    assert page.locator("#errors .view:visible tbody th", has_text="<script>").count() == 1
    assert page.locator("script").count() == 4


def test_phone_in_the_dark_needs_no_sideways_scrolling(browser: Any, reported: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    visit = Visit(context.new_page(), (reported / "report.html").as_uri())
    page = visit.page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    widths = page.locator(".plots .main-svg").evaluate_all("all => all.map(one => one.clientWidth)")
    assert max(widths) <= 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    tick = page.locator("#tradeoff .xtick text").first
    expect(tick).to_have_css("fill", "rgb(230, 233, 237)")
    page.emulate_media(color_scheme="light")
    expect(tick).to_have_css("fill", "rgb(27, 31, 36)")
    assert visit.errors == []
    context.close()


def test_print_shows_the_still_figures_and_every_model(visit: Visit) -> None:
    page = visit.page
    page.emulate_media(media="print")
    assert page.locator("#tradeoff .still:visible").count() == 1
    assert page.locator("#errors .still:visible").count() == 3
    assert page.locator("#errors .view:visible").count() == 3
    assert page.locator(".plots:visible").count() == 0
    page.emulate_media(media="screen")


def test_page_is_readable_without_scripts(browser: Any, reported: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((reported / "report.html").as_uri())
    assert page.locator("h1").is_visible()
    assert page.locator(".still:visible").count() == 5 + 1 + 4 + 3
    assert page.locator("#errors .view:visible").count() == 3
    assert page.locator(".choices:visible").count() == 0
    context.close()
