"""report.html on its own: nothing loaded from elsewhere, nothing of a user's text taken for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from foray.records import Comparison
from foray.report import write_report
from foray.report.comparison_report import whole_options
from foray.report.status import status_of

from .conftest import edit_json
from .example import HOSTILE, write_comparison

# Attributes through which a browser loads something by itself.
LOADING = {"src", "srcset", "poster", "data", "background", "action", "manifest", "ping"}


class Page(HTMLParser):
    """The page as a browser would take it apart."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.open = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open == "script":
            self.scripts[-1] += data
        elif self.open == "style":
            self.styles.append(data)
        else:
            self.text.append(data)


@pytest.fixture(scope="module")
def page(reported: Path) -> Page:
    return Page((reported / "report.html").read_text(encoding="utf-8"))


def test_page_loads_nothing_from_elsewhere(page: Page) -> None:
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in LOADING or (name == "href" and tag in ("link", "base")):
                assert (value or "").startswith("data:"), f"<{tag} {name}={value}>"
            if name == "href" and tag == "a":
                assert (value or "").startswith("#")
        assert not (attributes.keys() & {"onclick", "onload", "onerror"})
    assert not any(re.search(r"@import|url\(", style) for style in page.styles)
    policies = [attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv")]
    assert policies
    assert policies[0].startswith("default-src 'none'")


def test_names_are_text_never_markup(page: Page) -> None:
    # the marker, the charts' JSON, plotly, the page's own script; a fifth would be a class name taken for one
    assert len(page.scripts) == 4
    assert page.scripts[2] == get_plotlyjs()
    assert HOSTILE in page.text
    assert {"荠菜", "Maïs & blé", "$ugar$ beet"} <= set(page.text)
    assert set(json.loads(page.scripts[1])) == {"tradeoff", "curves", "pairs", "confusion"}


def test_page_says_what_the_verdict_rests_on(page: Page, reported: Path) -> None:
    comparison = Comparison.load(reported / "comparison.json")
    text = " ".join(" ".join(page.text).split())
    assert comparison.decision.sentence in text
    for said in (
        "n = 4,020 images", "n = 720 images", "selects nothing", "3 (0, 1, 2)", "lower latency",
        "the loss became NaN in epoch 3", "over the bound of", "2 unreadable images were left out", "CC BY-SA 4.0",
        "Apache-2.0", "AMD EPYC 7763", "torch 2.13.0", comparison.dataset.fingerprint, comparison.command,
        "optimizer.learning_rate", "train 3,312, val 708, test 720",
    ):  # fmt: skip
        assert said in text, said


def test_pictures_of_mistakes_are_inside_unchanged(page: Page, reported: Path) -> None:
    inside = {
        hashlib.sha256(base64.b64decode(attributes["src"].partition(",")[2])).hexdigest()
        for tag, attributes in page.tags
        if tag == "img" and (attributes["src"] or "").startswith("data:image/jpeg")
    }
    outside = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (reported / "mistakes").glob("*.jpg")}
    assert inside == outside


def test_every_dash_says_that_nothing_was_measured(reported: Path) -> None:
    source = (reported / "report.html").read_text(encoding="utf-8")
    dashes = re.findall(r"<td([^>]*)>\s*–\s*</td>", source)
    numbers = [attributes for attributes in dashes if "number" in attributes]
    assert len(numbers) >= 12
    assert all('title="not measured"' in attributes for attributes in numbers)


def test_figures_are_written_in_both_formats(reported: Path) -> None:
    stems = {path.stem for path in (reported / "figures").iterdir()}
    models = ("efficientnet_v2_b0", "efficientnet_b0", "mobilenet_v2")
    assert stems == {
        *(f"accuracy_vs_{cost}" for cost in ("latency", "macs", "params", "memory", "file")),
        *(f"{kind}_{model}" for kind in ("curves", "confusion") for model in models),
        "curves", "paired",
    }  # fmt: skip
    for stem in stems:
        assert (reported / "figures" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        svg = ET.parse(reported / "figures" / f"{stem}.svg").getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    matrix = ET.parse(reported / "figures" / "confusion_mobilenet_v2.svg").getroot()
    words = {"".join(element.itertext()).strip() for element in matrix.iter("{http://www.w3.org/2000/svg}text")}
    assert {"$ugar$ beet", "荠菜", "Predicted", "True"} <= words


def test_same_folder_gives_the_same_bytes_in_another_process_without_torch(reported: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere"
    shutil.copytree(reported, again, ignore=shutil.ignore_patterns("figures", "table.*", "report.html"))
    program = (
        "import sys, pathlib, importlib.abc\n"
        "class NoTorch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.partition('.')[0] == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "from foray.report import write_report; write_report(pathlib.Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "MPLBACKEND": "svg"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(again)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written = [path.relative_to(reported) for path in reported.rglob("*") if path.is_file()]
    assert len(written) > 40
    differing = [str(path) for path in written if (reported / path).read_bytes() != (again / path).read_bytes()]
    assert differing == []


def test_no_line_ends_within_an_option() -> None:
    told = whole_options("about <these> networks; three seeds (--seeds 3) take 4 min - or more")
    option = '<span class="option">--seeds 3</span>'
    assert told == Markup(f"about &lt;these&gt; networks; three seeds ({option}) take 4 min - or more")


def test_what_a_verdict_needs_is_told_pair_by_pair(comparison_folder: Path) -> None:
    """Images in all, more seeds, or neither; a file without the field for seeds, as older versions wrote it, loads."""

    def open_pairs(content) -> None:
        pair = next(one for one in content["decision"]["pairs"] if one["status"] == "unresolved")
        del pair["more_seeds"]
        others = [{"candidate": "a", "more_seeds": True}, {"candidate": "b", "more_seeds": False}]
        content["decision"]["pairs"] += [pair | {"images_needed": None} | other for other in others]

    edit_json(comparison_folder / "comparison.json", open_pairs)
    text = " ".join(" ".join(Page(write_report(comparison_folder).read_text(encoding="utf-8")).text).split())
    for said in ("Images needed", "12,000", "more seeds", "none would"):
        assert said in text, said


def test_the_errors_of_both_steps_and_labels_that_are_missing_are_told(comparison_folder: Path) -> None:
    """`error` is missing in the file, as in those of older versions."""

    def change(content) -> None:
        decision = content["decision"]
        assert decision.pop("error") == 0.05
        decision["settle_error"] = 0.025
        decision["pairs"][0] |= {"split": "settle", "n": 2400, "labels": 16, "disagreements": 58}

    edit_json(comparison_folder / "comparison.json", change)
    write_report(comparison_folder)
    text = " ".join((comparison_folder / "report.html").read_text(encoding="utf-8").split())
    for said in (
        "the error rate is 5 % on these images and 2.5 % by labels of new images, 7.5 % together",
        "95 % each on the split that decides, or higher where several models share an error rate of 5 % (Holm)",
        "new images", "2,400", "42 labels",
    ):  # fmt: skip
        assert said in text


def test_a_pick_of_an_unresolved_verdict_is_one_for_now(reported: Path) -> None:
    comparison = Comparison.load(reported / "comparison.json")
    pick = next(one for one in comparison.candidates if one.model == comparison.decision.pick)
    assert status_of(pick, comparison.decision).label == "pick for now"
    decided = comparison.decision.model_copy(update={"outcome": "best_stands"})
    assert status_of(pick, decided).label == "pick, most accurate"


def test_bare_comparison_is_reported_too(comparison_folder: Path) -> None:
    """Nobody within budget, one seed, no histories, no pictures: every section says so instead of failing."""

    def empty(content) -> None:
        content["candidates"] = content["candidates"][3:]
        content["seeds"] = [0]
        content["confirmation"] = []
        content["decision"].update(
            best=None, pick=None, outcome="nobody_in_budget", pairs=[], pareto=[], sentence="No model keeps the budget."
        )

    edit_json(comparison_folder / "comparison.json", empty)
    stale = comparison_folder / "figures" / "confusion_gone.svg"
    stale.parent.mkdir()
    stale.write_text("of an earlier comparison")
    text = " ".join(Page(write_report(comparison_folder).read_text(encoding="utf-8")).text)
    assert "No model keeps the budget." in text
    assert "nothing to plot" in text
    assert "No two models were left to compare." in text
    assert not stale.exists()


def test_many_classes_and_a_lost_picture_leave_a_page_that_says_so(tmp_path: Path) -> None:
    classes = tuple(f"class {i:03d}" for i in range(120))
    folder = write_comparison(tmp_path / "out", classes)

    def one_model(content) -> None:
        content["candidates"] = content["candidates"][2:3]
        content["candidates"][0]["weights"]["notes"] = ["The file left the padding & the mean open."]

    edit_json(folder / "comparison.json", one_model)
    (folder / "mistakes" / "mobilenet_v2-0.jpg").unlink()
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    text = " ".join(page.text)
    assert text.count("image not found") == 1
    assert "The file left the padding & the mean open." in text
    assert "120 classes the matrix is too large" in text
    assert "The 100 classes with the lowest recall, of 120" in text
    assert not list((folder / "figures").glob("confusion_*"))
    assert json.loads(page.scripts[1])["confusion"] == []
