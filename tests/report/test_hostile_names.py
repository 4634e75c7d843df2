"""Names from outside in what foray writes: a spreadsheet computes none of them, Markdown and HTML show them as text."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from foray.plain_text import csv_cell, markdown, markdown_code
from foray.records import Comparison
from foray.report import write_report
from foray.report.candidate_table import csv_table, markdown_table

FORMULAS = [
    "=cmd|'/c calc'!A1", "+1+cmd|'/c calc'!A1", "-1+cmd|'/c calc'!A1", "@SUM(1+1)", "\t=1+1", "\r=1+1",
    "\uff1d1+1", "a Pi;=1+1", "-", "=",
]  # fmt: skip
HTML = "<img src=x onerror=alert(1)>"


def renamed(folder: Path, name: str) -> Comparison:
    """The comparison, measured on a device, on data and with models of that name."""
    comparison = Comparison.load(folder / "comparison.json")
    rows = [
        row.model_copy(update={"cost": row.cost.model_copy(update={"device": name}), "model": f"{name} {i}"})
        for i, row in enumerate(comparison.candidates)
    ]
    return comparison.model_copy(
        update={
            "candidates": rows,
            "dataset": comparison.dataset.model_copy(update={"name": name}),
            "decision": comparison.decision.model_copy(update={"sentence": f"Ship {name}."}),
            "cautions": [f"On {name} it wavers."],
        }
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_the_csv_is_a_formula(comparison_folder: Path, formula: str) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table(renamed(comparison_folder, formula)))))
    assert rows
    for row in rows:
        for cell in row.values():
            for part in cell.split(";"):  # where a semicolon parts cells
                assert not part.strip().startswith(tuple("=+@\t\r\uff1d")), row
                assert not part.strip().startswith("-") or float(part) < 0
        assert "'" in row["device"]


@pytest.mark.parametrize("number", ["-0.5", "+3", "-1e-05", "12", "-7."])
def test_numbers_in_cells_stay(number: str) -> None:
    assert csv_cell(number) == number


def test_negative_numbers_of_a_comparison_stay_numbers(comparison_folder: Path) -> None:
    comparison = Comparison.load(comparison_folder / "comparison.json")
    row = comparison.candidates[0].model_copy(update={"test_sd": -0.25})
    text = csv_table(comparison.model_copy(update={"candidates": [row]}))
    assert float(next(csv.DictReader(io.StringIO(text)))["test_top1_sd"]) == -0.25


def test_markdown_of_the_table_holds_no_markup_of_a_name(comparison_folder: Path) -> None:
    name = f"{HTML}[a](javascript:b)![c](http://d)`e`|f\n# g\x1b[31m &lt;"
    text = markdown_table(renamed(comparison_folder, name))
    shown = r"&lt;img src=x onerror=alert(1)>\[a\](javascript:b)!\[c\](http://d)\`e\`\|f # g\u001b\[31m &amp;lt;"
    shown = shown.replace(r"\u001b", r"\\u001b")
    assert f"**Ship {shown}.**" in text
    assert f"Caution: On {shown} it wavers." in text
    assert text.count(shown) > 6
    assert "<" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mobilenet_v2_x0.5", "mobilenet_v2_x0.5"),
        ("_emphasis_ and *this*", r"\_emphasis\_ and \*this\*"),
        ("Tan & Le, 98.1 %", "Tan & Le, 98.1 %"),
        ("# a heading", r"\# a heading"),
        ("> a quotation", r"\> a quotation"),
        ("~~~", r"\~~~"),
        ("C:\\photos", r"C:\\photos"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    assert markdown(text) == shown


@pytest.mark.parametrize(
    ("text", "span"), [("a run", "`a run`"), ("a`b", "``a`b``"), ("`a``", "``` `a`` ```"), ("a|b\n", r"`a\u007cb`")]
)
def test_a_code_span_cannot_be_left(text: str, span: str) -> None:
    assert markdown_code(text) == span


def test_figures_and_page_take_class_names_with_control_characters(comparison_folder: Path) -> None:
    path = comparison_folder / "comparison.json"
    comparison = Comparison.load(path)
    hostile = f"{HTML}\x1b]0;x\x07\n"
    classes = [hostile, *comparison.dataset.classes[1:]]
    dataset = comparison.dataset.model_copy(update={"classes": classes, "name": hostile})
    comparison.model_copy(update={"dataset": dataset}).save(path)
    page = write_report(comparison_folder).read_text(encoding="utf-8")
    assert HTML not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    matrices = sorted((comparison_folder / "figures").glob("confusion_*.svg"))
    assert matrices
    for matrix in matrices:
        words = "".join(ET.parse(matrix).getroot().itertext())
        assert "<img src=x onerror=aler" in words  # as far as an axis shows it
