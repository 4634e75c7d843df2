"""The content of the page as rows of plain text, for both HTML and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from foray.plain_text import markdown
from foray.records import Estimate
from foray.records.quantities import format_interval, percent_number
from foray.records.reproduction import ClaimResult, Evidence, Reproduction
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import SECTIONS, Accuracy, Claim

NOTHING = "–"
RUNS = "Runs"
SCALE_WORDS = {"full": "the study's", "reduced": "reduced", "mini": "mini"}


@dataclass(frozen=True)
class ClaimView:
    """One claim with its verdict; `facts`: what, value."""

    claim: Claim
    result: ClaimResult
    facts: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> str:
        """In words."""
        return self.result.verdict

    @property
    def css(self) -> str:
        """The verdict as a class name."""
        return self.result.verdict.replace(" ", "-")


@dataclass(frozen=True)
class SectionView:
    """A section of the study."""

    key: str
    title: str
    claims: tuple[ClaimView, ...]


@dataclass(frozen=True)
class Page:
    """The content of the page."""

    mini: bool
    counts: tuple[tuple[str, int], ...]
    sections: tuple[SectionView, ...]
    numbers: tuple[tuple[str, ...], ...]
    runs: tuple[tuple[str, ...], ...]
    missing: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    has_figure: bool


NUMBER_COLUMNS = ("Images", "Network", "Printed %", "Originally %", "Ours %", "95 %", "n", "On", "Verdict")
RUN_COLUMNS = (
    "Run", "Network", "Images", "px", "Epochs", "Seeds", "Validation %", "test %", "Images x epochs", "Steps",
    "Minutes", "s per epoch", "What differs", "Machine",
)  # fmt: skip


def page_of(found: Reproduction, *, has_figure: bool) -> Page:
    """The page of a reproduction."""
    views = [ClaimView(CLAIMS[one.claim], one, _facts(CLAIMS[one.claim], one)) for one in found.results]
    sections = [
        SectionView(key, title, tuple(view for view in views if view.claim.section == key))
        for key, title in SECTIONS.items()
    ]
    return Page(
        mini=found.mini,
        counts=tuple(Counter(one.verdict for one in found.results).most_common()),
        sections=tuple(section for section in sections if section.claims),
        numbers=tuple(_number(view) for view in views if isinstance(view.claim.judge, Accuracy)),
        runs=tuple(_run(one) for one in found.runs),
        missing=tuple((role, f"{why.kind}: {why.reason}") for role, why in sorted(found.missing.items())),
        commands=tuple(dict.fromkeys(one.command for one in found.runs if one.command)),
        has_figure=has_figure,
    )


def _number(view: ClaimView) -> tuple[str, ...]:
    judge, claim = view.claim.judge, view.claim
    assert isinstance(judge, Accuracy)
    evidence = view.result.evidence
    ours = evidence[0] if evidence else None
    network = claim.id.rsplit(".", 1)[-1] if judge.at_epoch is None else f"B0, epoch {judge.at_epoch}"
    if claim.section == "mobilenet":
        network = f"MobileNetV2, {claim.id.partition('.')[2]}"
    return (
        claim.data,
        network.upper() if network in ("b0", "b1", "b2") else network,
        f"{100 * judge.expected:.4g}",
        claim.original_percent or NOTHING,
        percent_number(ours.measured.value) if ours else NOTHING,
        format_interval(ours.measured, " to ") if ours else NOTHING,
        f"{ours.measured.n:,}" if ours else NOTHING,
        f"{ours.data}, {SCALE_WORDS[ours.scale]}" if ours else NOTHING,
        view.verdict,
    )


def _run(one: Evidence) -> tuple[str, ...]:
    return (
        f"{one.scale}/{one.role}",
        one.model,
        one.data,
        str(one.resolution),
        str(one.epochs) if one.epochs else NOTHING,
        ", ".join(map(str, one.seeds)) or NOTHING,
        f"{one.measure}: {_with_interval(one.measured)}",
        _with_interval(one.test) if one.test else NOTHING,
        f"{one.images:,}",
        f"{one.steps:,}",
        f"{one.minutes:.1f}",
        NOTHING if one.seconds_per_epoch is None else f"{one.seconds_per_epoch:.1f}",
        "; ".join([*one.differs, *(f"older recipe: {change}" for change in one.older_recipe)]) or "nothing",
        one.hardware,
    )


def _facts(claim: Claim, result: ClaimResult) -> tuple[tuple[str, str], ...]:
    judge = claim.judge
    expected = f"{100 * judge.expected:.4g} %" if isinstance(judge, Accuracy) else claim.expected
    rows = [
        ("Printed", claim.where),
        ("Recipe", claim.recipe or ""),
        ("Images", claim.data),
        ("Expected", expected),
        ("Judged", judge.rule()),
        ("Originally", claim.original),
        ("Note", claim.note),
        ("Unstated, our choice", "; ".join(
            f"{key} = {choice.value} ({choice.reason})" for key, choice in claim.choices().items()
        )),
        (RUNS, "; ".join(_brief(one) for one in result.evidence)),
    ]  # fmt: skip
    return tuple((what, value) for what, value in rows if value)


def _brief(one: Evidence) -> str:
    seeds = f"seeds {', '.join(map(str, one.seeds))}, " if one.seeds else ""
    return (
        f"{one.scale}/{one.role}: {one.measure} {_with_interval(one.measured, ' %')}, "
        f"{seeds}{one.images:,} images in {one.steps:,} steps, {one.minutes:.1f} min, "
        f"{one.hardware}"
    )


def _with_interval(estimate: Estimate, sign: str = "") -> str:
    return f"{percent_number(estimate.value)}{sign} ({format_interval(estimate, ' to ')}, n = {estimate.n:,})"


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(markdown, cells)) + " |"

    return [line(columns), "|" + "---|" * len(columns), *map(line, rows)]
