"""Writes reproduction.html, .md and .json with figure 1."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from foray.plain_text import markdown, markdown_code, one_line
from foray.records import write_bytes, write_text
from foray.records.reproduction import Reproduction
from foray.report.drawing import render
from foray.reproduce.findings import Findings
from foray.reproduce.page_content import NUMBER_COLUMNS, RUN_COLUMNS, RUNS, ClaimView, Page, page_of, rows_of
from foray.reproduce.study_curves import figure1

CONFOUND = (
    "The study compares EfficientNets trained from scratch for 500 epochs with a MobileNetV2 that was pretrained on "
    "ImageNet and trained for 20. Protocol and network change together, so its comparison cannot show which of them "
    "made the difference. `comparison.equal_protocol` trains both alike."
)
TWO_RUNS = (
    'The caption of figure 1 says "no frozen weights"; the text cites it for the run with the frozen backbone. Both '
    "are drawn. The grey line is the accuracy the study prints for that run; its curves are not available as numbers."
)
WRITTEN = "Written by `foray reproduce --from results`; do not edit."
HOW = (
    "Numbers are judged only on the study's own images and protocol. Stand-ins are named wherever they appear: on "
    "them, statements are judged with paired tests on the same test images, and numbers are not. Ours is the best "
    "validation top-1, as in the study: the accuracy on val of the epoch that is best on the same val, which is "
    "optimistic; where a recipe keeps the last epoch, that of the last."
)


def markdown_page(page: Page, figure: str = "reproduction-figure1.svg") -> str:
    """reproduction.md. The same results give the same text."""
    lines = ["# A Foray into CNN Efficiency, reproduced", "", f"{WRITTEN} {HOW}", ""]
    if page.mini:
        lines += [
            "**Mini: a few images and two epochs show that the code works, and say nothing about the study.**",
            "",
        ]
    lines += [", ".join(f"{n} {verdict}" for verdict, n in page.counts) + ".", ""]
    lines += ["## The study's numbers and ours", "", *rows_of(NUMBER_COLUMNS, page.numbers), ""]
    for section in page.sections:
        lines += [f"## {section.title}", ""]
        if section.key == "figure1":
            lines += [TWO_RUNS, ""]
            lines += [f"![Accuracy and loss of both runs]({figure})", ""] if page.has_figure else []
        if section.key == "comparison":
            lines += [CONFOUND, ""]
        for view in section.claims:
            lines += _claim(view)
    lines += ["## Experiments", "", *rows_of(RUN_COLUMNS, page.runs), ""] if page.runs else []
    if page.commands:
        lines += ["By:", "", *(f"    {one_line(command)}" for command in page.commands), ""]
    if page.missing:
        lines += [
            "## Experiments without results",
            "",
            *(f"- {markdown_code(role)}: {markdown(why)}" for role, why in page.missing),
            "",
        ]
    return "\n".join(lines)


def _claim(view: ClaimView) -> list[str]:
    lines = [f"### {view.claim.id}: {view.verdict}", "", view.claim.statement, "", markdown(view.result.sentence), ""]
    lines += [f"- {markdown(line)}" for line in view.result.arithmetic]
    lines += [""] if view.result.arithmetic else []
    # The other facts are texts of the claims, some of them Markdown.
    lines += [f"- {what}: {markdown(value) if what == RUNS else value}" for what, value in view.facts]
    return [*lines, ""]


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
    """One file that loads nothing from the network."""
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
