"""Rows of the page's tables: the study's figures beside ours, and the experiments as they were run."""

from __future__ import annotations

from collections.abc import Sequence

from foray.plain_text import markdown
from foray.records.quantities import percent_number
from foray.records.reproduction import ClaimResult, Evidence, Timing, Verdict
from foray.reproduce.claim import Accuracy, Claim
from foray.reproduce.differences import told
from foray.reproduce.evidence import with_interval
from foray.reproduce.role_words import words_of

NOTHING = "–"
NO_DIFFERENCE = "nothing that the study states"
NUMBER_COLUMNS = (
    "Images", "Network", "Protocol", "Study %", "Paper %", "Ours, val %", "Ours, test %", "What differs", "Verdict",
)  # fmt: skip
SMALLER_COLUMNS = ("Images", "Network", "Study %", "Here, val %", "Here, test %", "What differs")
STATEMENT_COLUMNS = ("The study says", "Claims and verdicts")
RUN_COLUMNS = (
    "Run", "Network", "Images", "px", "Epochs", "Seeds", "Validation %", "Test %", "Images x epochs", "Steps",
    "Minutes", "s per epoch", "What differs", "Machine",
)  # fmt: skip
TIMING_COLUMNS = ("Timed", "Of", "Networks", "Rounds", "Threads", "On", "Date", "foray", "Machine")
WEIGHTS_COLUMNS = ("Weights", "Network", "SHA-256", "Origin", "Licence")
NOTE_COLUMNS = ("Noted", "By")

_COMPARABLE: tuple[Verdict, ...] = ("reproduced", "exceeded", "exceeded by another protocol", "not reproduced")


def is_comparable(result: ClaimResult) -> bool:
    """Whether a result for a figure is on the study's images, by its protocol or by one that exceeds it."""
    return result.verdict in _COMPARABLE


def comparable(judge: Accuracy, result: ClaimResult) -> str:
    """`79.9 % against 79.95 %`: ours against the study's."""
    on = "" if judge.on == "val" else f" on {judge.on}"
    return f"{percent_number(judge.of(result.evidence[0]).value)} %{on} against {100 * judge.expected:.4g} %"


def number_row(claim: Claim, result: ClaimResult) -> tuple[str, ...]:
    """One figure of the study beside a comparable one of ours."""
    judge = claim.judge
    assert isinstance(judge, Accuracy)
    ours = result.evidence[0]
    return (
        words_of(judge.role).data,
        _network(judge, ours),
        words_of(judge.role).way or "published weights",
        f"{100 * judge.expected:.4g}" + (" (test)" if judge.on == "test" else ""),
        claim.original_percent or NOTHING,
        with_interval(ours.measured),
        with_interval(ours.test) if ours.test else NOTHING,
        told(ours.differs) or NO_DIFFERENCE,
        result.verdict,
    )


def smaller_row(claim: Claim, result: ClaimResult) -> tuple[str, ...]:
    """One figure of the study beside a result that does not decide it."""
    judge = claim.judge
    assert isinstance(judge, Accuracy)
    ours = result.evidence[0]
    return (
        ours.data,
        _network(judge, ours),
        f"{100 * judge.expected:.4g}" + (" (test)" if judge.on == "test" else ""),
        with_interval(ours.measured),
        with_interval(ours.test) if ours.test else NOTHING,
        told(ours.differs),
    )


def run_row(one: Evidence) -> tuple[str, ...]:
    """One experiment as it was run."""
    return (
        f"{one.scale}/{one.role}",
        one.model,
        one.data if one.fold is None else f"{one.data}, fold {one.fold}",
        str(one.resolution),
        str(one.epochs) if one.epochs else NOTHING,
        ", ".join(map(str, one.seeds)) or NOTHING,
        f"{one.measure}: {with_interval(one.measured)}",
        with_interval(one.test) if one.test else NOTHING,
        f"{one.images:,}",
        f"{one.steps:,}",
        f"{one.minutes:.1f}",
        NOTHING if one.seconds_per_epoch is None else f"{one.seconds_per_epoch:.1f}",
        "; ".join([*one.differs, *(f"older recipe: {change}" for change in one.older_recipe)]) or NO_DIFFERENCE,
        one.hardware,
    )


def timing_row(one: Timing) -> tuple[str, ...]:
    """Networks that were timed in turns."""
    return (
        f"{one.scale}/{one.role}",
        one.timed,
        str(one.networks),
        str(one.rounds),
        str(one.threads),
        f"{one.runtime}, {one.precision}",
        one.created[:10],
        (one.commit or NOTHING)[:7],
        one.hardware,
    )


def weights_rows(runs: Sequence[Evidence]) -> tuple[tuple[str, ...], ...]:
    """The pretrained weights that runs began with, each once."""
    found = {one.weights.sha256: one.weights for one in runs if one.weights}
    return tuple(
        (one.source, one.variant, one.sha256[:12], one.origin or NOTHING, one.licence or NOTHING)
        for one in found.values()
    )


def note_rows(runs: Sequence[Evidence]) -> tuple[tuple[str, str], ...]:
    """What the records of runs note, such as near-duplicates between splits, each once with its runs."""
    noted: dict[str, list[str]] = {}
    for one in runs:
        for note in one.notes:
            noted.setdefault(note, []).append(f"{one.scale}/{one.role}")
    return tuple((note, by[0] if len(by) == 1 else f"{by[0]} and {len(by) - 1} more") for note, by in noted.items())


def run_brief(one: Evidence) -> str:
    """One experiment in a line."""
    seeds = f"seeds {', '.join(map(str, one.seeds))}, " if len(one.seeds) > 1 else ""
    test = f", test {with_interval(one.test, ' %')}" if one.test else ""
    return (
        f"{one.scale}/{one.role}: {one.measure} {with_interval(one.measured, ' %')}{test}, {seeds}{one.minutes:.1f} min"
    )


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(markdown, cells)) + " |"

    return [line(columns), "|" + "---|" * len(columns), *map(line, rows)]


def _network(judge: Accuracy, ours: Evidence) -> str:
    name = words_of(judge.role).network
    if judge.at_epoch is None:
        return name
    reached = min(ours.epochs, judge.at_epoch)
    return f"{name}, epoch {reached}" + (f" in place of {judge.at_epoch}" if reached < judge.at_epoch else "")
