"""A browser, and label pages in it; two small networks that were compared."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from foray.settling import LabelPage, label_html
from tests.caches import made_once

from .small_world import World, compared, painted, random_weights, unlabelled

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESK = {"viewport": {"width": 1280, "height": 800}}
Open = Callable[..., "Visit"]


class Visit:
    """A label page in a browser, with everything the browser complained about or asked for."""

    def __init__(self, context: Any, path: Path) -> None:
        self.context, self.path = context, path
        self.page = page = context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, element: str) -> str:
        return str(self.page.locator(f"#{element}").inner_text())

    def labels_csv(self) -> str:
        """What the page's button downloads."""
        with self.page.expect_download() as started:
            self.page.locator("#download").click()
        assert started.value.suggested_filename == "labels.csv"
        return Path(started.value.path()).read_bytes().decode("utf-8")

    def load(self, text: str, name: str = "labels.csv") -> str:
        """Gives the page a file; returns what the page says of it."""
        content = {"name": name, "mimeType": "text/csv", "buffer": text.encode("utf-8")}
        self.page.locator("#file").set_input_files(content)
        self.page.wait_for_function("document.getElementById('loaded').textContent")
        return self.text("loaded")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `dev`)")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a label page; afterwards no page may have complained or asked the network for anything.

    `context`: options of the browser (its window, for one), or the context of an earlier visit, whose storage it keeps.
    """
    visits: list[Visit] = []

    def open_page(page: LabelPage, context: Any = DESK, script: str = "") -> Visit:
        path = tmp_path / f"{page.storage_key[:20]}.html"
        path.write_text(label_html(page), encoding="utf-8")
        context = browser.new_context(**context) if isinstance(context, dict) else context
        if script:
            context.add_init_script(script)
        visits.append(Visit(context, path))
        return visits[-1]

    yield open_page
    for visit in visits:
        assert visit.errors == []
        assert [url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        visit.context.close()


@pytest.fixture(scope="session")
def one_seed() -> World:
    """A comparison that is not to be changed."""
    with made_once("settling") as folder:
        world = World(folder / "data", folder / "new", folder / "out", folder / "cache")
        if not folder.exists():
            painted(world.data, 40)
            unlabelled(world.new)
            made = compared(world.data, random_weights(world.weights), world.out, world.cache, 1)
            assert made.decision.outcome == "unresolved"
    return world


@pytest.fixture(scope="session")
def two_seeds(one_seed: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same of two seeds."""
    out = Path(shutil.copytree(one_seed.out, tmp_path_factory.mktemp("seeds") / "out"))
    compared(one_seed.data, one_seed.weights, out, one_seed.cache, 2)
    return dataclasses.replace(one_seed, out=out)


@pytest.fixture
def world(one_seed: World, tmp_path: Path) -> World:
    """A copy of the comparison with one seed."""
    return dataclasses.replace(one_seed, out=Path(shutil.copytree(one_seed.out, tmp_path / "out")))
