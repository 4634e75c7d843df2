"""The content of the page as rows of plain text, for both HTML and Markdown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from foray.recipes import STUDY, Choice
from foray.records.reproduction import ClaimResult, Reproduction
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import SECTIONS, Accuracy, Arithmetic, Claim
from foray.reproduce.findings import reason_of
from foray.reproduce.page_tables import (
    comparable,
    is_comparable,
    note_rows,
    number_row,
    run_brief,
    run_row,
    smaller_row,
    timing_row,
    weights_rows,
)
from foray.reproduce.statements import STATEMENTS
from foray.reproduce.summary import SummaryLine, summary_of

RUNS = "Runs"


@dataclass(frozen=True)
class ClaimView:
    """One claim with its verdict. `value`: what came out, in few words; `facts`: what, value."""

    claim: Claim
    result: ClaimResult
    value: str
    facts: tuple[tuple[str, str], ...]

    @property
    def css(self) -> str:
        """The verdict as a class name."""
        return self.result.verdict.replace(" ", "-")


@dataclass(frozen=True)
class SectionView:
    """Claims under one heading."""

    key: str
    title: str
    claims: tuple[ClaimView, ...]


@dataclass(frozen=True)
class Page:
    """The content of the page.

    `counts`: verdicts on the study's statements. `numbers`: its figures beside comparable ones of ours; `smaller`:
    other results for its figures. `ours`: questions that the study did not ask. `statements`: every sentence of the
    study that states a fact, with the verdicts on it. `choices`: what it leaves unstated, by recipe. `runs`, `timings`:
    the experiments as they were run; `weights`: pretrained ones they began with; `notes`: what their records note.
    """

    mini: bool
    summary: tuple[SummaryLine, ...]
    counts: tuple[tuple[str, int], ...]
    numbers: tuple[tuple[str, ...], ...]
    sections: tuple[SectionView, ...]
    ours: tuple[ClaimView, ...]
    smaller: tuple[tuple[str, ...], ...]
    statements: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, tuple[str, ...]], ...]
    runs: tuple[tuple[str, ...], ...]
    timings: tuple[tuple[str, ...], ...]
    weights: tuple[tuple[str, ...], ...]
    notes: tuple[tuple[str, ...], ...]
    missing: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]


def page_of(found: Reproduction) -> Page:
    """The page of a reproduction."""
    views = [_view(one) for one in found.results]
    of_the_study = [view for view in views if view.claim.origin == "study"]
    sections = [
        SectionView(key, title, tuple(view for view in of_the_study if view.claim.section == key))
        for key, title in SECTIONS.items()
    ]
    figures = [view for view in of_the_study if isinstance(view.claim.judge, Accuracy) and view.result.evidence]
    recipes = dict.fromkeys(view.claim.recipe for view in views if view.claim.recipe)
    commands = [
        *(command for one in found.runs for command in one.command.splitlines()),
        *(one.command for one in found.timings),
    ]
    return Page(
        mini=found.mini,
        summary=() if found.mini else summary_of(found),
        counts=tuple(Counter(view.result.verdict for view in of_the_study).most_common()),
        numbers=tuple(number_row(view.claim, view.result) for view in figures if is_comparable(view.result)),
        sections=tuple(section for section in sections if section.claims),
        ours=tuple(view for view in views if view.claim.origin == "ours"),
        smaller=tuple(smaller_row(view.claim, view.result) for view in figures if not is_comparable(view.result)),
        statements=_statements(found),
        choices=tuple((name, tuple(map(_choice, STUDY[name].unstated.items()))) for name in recipes),
        runs=tuple(run_row(one) for one in found.runs),
        timings=tuple(timing_row(one) for one in found.timings),
        weights=weights_rows(found.runs),
        notes=note_rows(found.runs),
        missing=tuple((role, reason_of(why)) for role, why in sorted(found.missing.items())),
        commands=tuple(dict.fromkeys(filter(None, commands))),
    )


def _statements(found: Reproduction) -> tuple[tuple[str, str], ...]:
    """Those with a claim among the results."""
    verdicts = {one.claim: one.verdict for one in found.results}
    rows = [
        (statement.text, "; ".join(f"{name}: {verdicts[name]}" for name in statement.claims if name in verdicts))
        for statement in STATEMENTS
    ]
    return tuple((text, told) for text, told in rows if told)


def _view(result: ClaimResult) -> ClaimView:
    claim = CLAIMS[result.claim]
    return ClaimView(claim, result, _value(claim, result), _facts(claim, result))


def _value(claim: Claim, result: ClaimResult) -> str:
    """What came out, for the row of a claim that is not opened."""
    if isinstance(claim.judge, Accuracy) and result.evidence:
        return comparable(claim.judge, result)
    return "" if isinstance(claim.judge, Arithmetic) else result.brief


def _facts(claim: Claim, result: ClaimResult) -> tuple[tuple[str, str], ...]:
    judge = claim.judge
    expected = f"{100 * judge.expected:.4g} %" if isinstance(judge, Accuracy) else claim.expected
    rows = [
        ("Printed in", claim.where),
        ("Expected", expected),
        ("Judged", judge.rule()),
        ("Original papers", claim.original),
        ("Recipe", claim.recipe or ""),
        ("Images", claim.data if claim.data != "none" else ""),
        ("Our choice", "; ".join(map(_choice, claim.unstated.items()))),
        ("Note", claim.note),
        (RUNS, "; ".join(run_brief(one) for one in result.evidence)),
    ]
    return tuple((what, value) for what, value in rows if value)


def _choice(item: tuple[str, Choice]) -> str:
    key, choice = item
    return f"{key} = {choice.value} ({choice.reason})"
