"""Writes reproduction.html, .md and .json with figure 1."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from foray.records import write_bytes, write_text
from foray.records.reproduction import Reproduction
from foray.report.canvas import render
from foray.reproduce.figure1 import figure1
from foray.reproduce.judge import Findings
from foray.reproduce.markdown import CONFOUND, HOW, TWO_RUNS, markdown_page
from foray.reproduce.view import NUMBER_COLUMNS, RUN_COLUMNS, Page, page_of

FIGURE = "reproduction-figure1.svg"


def write_reproduction(found: Reproduction, findings: Findings, out: Path) -> Path:
    """Writes all three forms of the page into `out` and returns the HTML's path; the same results, the same bytes."""
    figure = figure1(findings.results, mini=found.mini)
    drawing = render(figure, "svg") if figure else None
    page = page_of(found, has_figure=drawing is not None)
    if drawing is not None:
        write_bytes(out / FIGURE, drawing)
    found.save(out / "reproduction.json")
    write_text(out / "reproduction.md", markdown_page(page, FIGURE))
    write_text(out / "reproduction.html", html_page(page, drawing))
    return out / "reproduction.html"


def html_page(page: Page, drawing: bytes | None) -> str:
    """One file that asks the network for nothing."""
    environment = Environment(
        loader=PackageLoader("foray.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    svg = drawing.decode() if drawing else ""
    return environment.get_template("reproduction.html").render(
        page=page,
        number_columns=NUMBER_COLUMNS,
        run_columns=RUN_COLUMNS,
        how=HOW.replace("`", ""),
        confound=CONFOUND.replace("`", ""),
        two_runs=TWO_RUNS,
        figure=Markup(svg[svg.find("<svg") :]) if svg else None,
    )
