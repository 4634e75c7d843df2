"""Writes reproduction.html, .md and .json with the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from foray.plain_text import markdown, markdown_code, one_line
from foray.records import write_bytes, write_text
from foray.records.reproduction import Reproduction
from foray.report.drawing import render
from foray.reproduce.findings import Findings
from foray.reproduce.page_content import RUNS, ClaimView, Page, page_of
from foray.reproduce.page_tables import (
    NOTE_COLUMNS,
    NUMBER_COLUMNS,
    RUN_COLUMNS,
    SMALLER_COLUMNS,
    STATEMENT_COLUMNS,
    TIMING_COLUMNS,
    WEIGHTS_COLUMNS,
    rows_of,
)
from foray.reproduce.pictures import cost_of_accuracy
from foray.reproduce.study_curves import figure1
from foray.reproduce.verdict_words import VERDICT_WORDS

CONFOUND = (
    "The study compares EfficientNets trained from scratch for 500 epochs with a MobileNetV2 that was pretrained on "
    "ImageNet and trained for 20. Protocol and network change together, so its comparison cannot show which of them "
    "made the difference. The claims comparison.equal_protocol.b0 and .v2b0, further down, train both alike."
)
TWO_RUNS = (
    'The caption of figure 1 says "no frozen weights"; the text cites it for the run with the frozen backbone. Each '
    "is drawn where it was run. The grey line is the accuracy that the study prints for the run; its curves are "
    "not available as numbers."
)
WRITTEN = "Written by `foray reproduce --from results`; do not edit."
HOW = (
    "Study: the printed figure, the best validation top-1; MobileNetV2's is the last epoch's. Ours, val: the accuracy "
    "of the kept epoch on val; where the recipe keeps the best epoch on val, that figure is optimistic, as the study's "
    "is. The recipe for CIFAR was chosen on val too. Test chose nothing. Rock-Paper-Scissors is compared on test. "
    "Intervals: 95 %. Of one seed they cover the choice of images, not what another seed would change. A figure of the "
    "study is judged only on its own images, by its protocol or by one that exceeds it. Some test images nearly repeat "
    "training images: each run notes how many, and its accuracy without them."
)
SMALLER = (
    "Fewer epochs, smaller images or other ones: at most two hours per run on two cores. They do not decide the "
    "study's figures."
)
RUN_TIMES = (
    "Minutes and seconds depend on what else the machine did, and are not compared. Heads on a frozen backbone take "
    "its features from the cache where an earlier run left them there. Where the last 34 layers are trained, the "
    "frozen blocks run once. Earlier versions of foray ran them in every epoch, which takes several times as long: the "
    "notes in a run's record.json say which it was."
)
OURS = "The study did not ask these. They are answered by experiments of our own."
VERDICTS = "What the verdicts mean:"
WEIGHTS = "The pretrained weights that the runs began with:"
NOTES = "What the records of the runs note, each once:"
UNSTATED = "The study does not state everything that a training needs. Our choice, with its reason, by recipe:"
COSTS = (
    "Networks that were trained alike on DeepWeeds: accuracy on test against what it costs. Times were taken in turns "
    "on one machine, named under Experiments. On another machine both the times and their ratios may differ."
)
FIGURE1 = "reproduction-figure1.svg"
COST_FIGURE = "reproduction-costs.svg"


def write_reproduction(found: Reproduction, findings: Findings, out: Path) -> Path:
    """Writes all three forms of the page into `out` and returns the HTML's path; the same results, the same bytes."""
    figures: Mapping[str, Figure | None] = {
        FIGURE1: figure1(findings.results, mini=found.mini),
        COST_FIGURE: cost_of_accuracy(findings),
    }
    drawings = {name: render(figure, "svg") for name, figure in figures.items() if figure is not None}
    page = page_of(found)
    for name, drawing in drawings.items():
        write_bytes(out / name, drawing)
    found.save(out / "reproduction.json")
    write_text(out / "reproduction.md", markdown_page(page, drawings))
    write_text(out / "reproduction.html", html_page(page, drawings))
    return out / "reproduction.html"


def markdown_page(page: Page, drawings: Mapping[str, bytes]) -> str:
    """reproduction.md. The same results give the same text."""
    lines = ["# A Foray into CNN Efficiency, reproduced", "", WRITTEN, ""]
    if page.mini:
        lines += [
            "**Mini: a few images and two epochs show that the code works, and say nothing about the study.**",
            "",
        ]
    for number, point in enumerate(page.summary, start=1):
        lines += [f"{number}. **{markdown(point.title)}.** {markdown(point.text)}"]
    lines += [""] if page.summary else []
    lines += ["## Table 1 and the other figures", "", HOW, ""]
    lines += [*rows_of(NUMBER_COLUMNS, page.numbers), ""] if page.numbers else ["No comparable result yet.", ""]
    lines += [VERDICTS, "", *(f"- *{name}*: {words.meaning}" for name, words in VERDICT_WORDS.items()), ""]
    lines += ["## Figure 1", "", TWO_RUNS, ""]
    lines += [f"![Accuracy and loss over epochs]({FIGURE1})", ""] if FIGURE1 in drawings else []
    if COST_FIGURE in drawings:
        lines += ["## What accuracy costs", "", COSTS, "", f"![Accuracy against time]({COST_FIGURE})", ""]
    for section in page.sections:
        lines += [f"## {section.title}", "", *([CONFOUND, ""] if section.key == "comparison" else [])]
        lines += _claims(section.claims)
    lines += ["## Questions of our own", "", OURS, "", *_claims(page.ours)] if page.ours else []
    if page.smaller:
        lines += ["## Smaller than the study's", "", SMALLER, "", *rows_of(SMALLER_COLUMNS, page.smaller), ""]
    lines += _end(page)
    return "\n".join(lines)


def _end(page: Page) -> list[str]:
    """Statements, choices, experiments and commands."""
    lines = ["## Every statement of the study", "", *rows_of(STATEMENT_COLUMNS, page.statements), ""]
    lines += ["## What the study leaves unstated", "", UNSTATED, ""] if page.choices else []
    for recipe, choices in page.choices:
        lines += [f"### {recipe}", "", *(f"- {markdown(choice)}" for choice in choices), ""]
    lines += ["## Experiments", ""] if page.runs or page.timings else []
    lines += [RUN_TIMES, "", *rows_of(RUN_COLUMNS, page.runs), ""] if page.runs else []
    lines += [*rows_of(TIMING_COLUMNS, page.timings), ""] if page.timings else []
    lines += [WEIGHTS, "", *rows_of(WEIGHTS_COLUMNS, page.weights), ""] if page.weights else []
    lines += [NOTES, "", *rows_of(NOTE_COLUMNS, page.notes), ""] if page.notes else []
    if page.commands:
        lines += ["By:", "", *(f"    {one_line(command)}" for command in page.commands), ""]
    if page.missing:
        lines += ["## Experiments without results", ""]
        lines += [*(f"- {markdown_code(role)}: {markdown(why)}" for role, why in page.missing), ""]
    return lines


def _claims(views: Sequence[ClaimView]) -> list[str]:
    lines: list[str] = []
    for view in views:
        lines += [
            f"**{markdown(view.claim.statement)}** *{view.result.verdict}* ({view.claim.id})", "",
            markdown(view.result.sentence), "",
        ]  # fmt: skip
        lines += [f"- {markdown(line)}" for line in view.result.arithmetic]
        lines += [""] if view.result.arithmetic else []
        # The other facts are texts of the claims, some of them Markdown.
        facts = [f"{what}: {markdown(value) if what == RUNS else value}" for what, value in view.facts]
        lines += ["<details><summary>How it is judged, and on what</summary>", "", *(f"- {fact}" for fact in facts)]
        lines += ["", "</details>", ""]
    return lines


def html_page(page: Page, drawings: Mapping[str, bytes]) -> str:
    """One file that loads nothing from the network."""
    environment = Environment(
        loader=PackageLoader("foray.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("reproduction.html").render(
        page=page,
        columns={"numbers": NUMBER_COLUMNS, "smaller": SMALLER_COLUMNS, "runs": RUN_COLUMNS,
                 "statements": STATEMENT_COLUMNS, "timings": TIMING_COLUMNS, "weights": WEIGHTS_COLUMNS,
                 "notes": NOTE_COLUMNS},
        verdicts={name: words.meaning for name, words in VERDICT_WORDS.items()},
        texts={
            "how": HOW, "confound": CONFOUND, "two_runs": TWO_RUNS, "smaller": SMALLER, "ours": OURS,
            "unstated": UNSTATED, "costs": COSTS, "run_times": RUN_TIMES, "verdicts": VERDICTS, "weights": WEIGHTS,
            "notes": NOTES,
        },
        figures={name: _inline(drawing) for name, drawing in drawings.items()},
        figure1=FIGURE1,
        cost_figure=COST_FIGURE,
    )  # fmt: skip


def _inline(drawing: bytes) -> Markup:
    svg = drawing.decode()
    return Markup(svg[svg.find("<svg") :])
