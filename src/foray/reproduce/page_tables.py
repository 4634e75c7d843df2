"""Rows of the page's tables: the study's figures beside ours, and the experiments as they were run."""

from __future__ import annotations

from collections.abc import Sequence

from foray.plain_text import markdown
from foray.records import Estimate
from foray.records.quantities import format_interval, percent_number
from foray.records.reproduction import ClaimResult, Evidence, Verdict
from foray.reproduce.claim import Accuracy, Claim
from foray.reproduce.differences import told

NOTHING = "–"
NUMBER_COLUMNS = (
    "Images", "Network", "Protocol", "Study %", "Paper %", "Ours, val %", "95 %", "n", "Ours, test %", "What differs",
    "Verdict",
)  # fmt: skip
SMALLER_COLUMNS = ("Images", "Network", "Study %", "Here, val %", "95 %", "n", "Here, test %", "What differs")
STATEMENT_COLUMNS = ("The study says", "Claims and verdicts")
RUN_COLUMNS = (
    "Run", "Network", "Images", "px", "Epochs", "Seeds", "Validation %", "Test %", "Images x epochs", "Steps",
    "Minutes", "s per epoch", "What differs", "Machine",
)  # fmt: skip

_COMPARABLE: tuple[Verdict, ...] = ("reproduced", "exceeded", "exceeded by another protocol", "not reproduced")
_NETWORKS = {"b0": "EfficientNet-B0", "b1": "EfficientNet-B1", "b2": "EfficientNet-B2"}
_IMAGES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "deepweeds": "DeepWeeds",
    "rock_paper_scissors": "Rock-Paper-Scissors",
    "imagenet": "ILSVRC2012 val",
}
_PROTOCOLS = {
    "study_cifar_finetune": "fine-tuned whole",
    "study_deepweeds_scratch": "from scratch",
    "study_rps_finetune": "fine-tuned whole",
    "study_mobilenet_linear": "head on the frozen backbone",
    "study_mobilenet_whole": "whole network",
}


def is_comparable(result: ClaimResult) -> bool:
    """Whether a result for a figure is on the study's images, by its protocol or by one that exceeds it."""
    return result.verdict in _COMPARABLE


def comparable(judge: Accuracy, result: ClaimResult) -> str:
    """`79.9 % against 79.95 %`."""
    return f"{percent_number(result.evidence[0].measured.value)} % against {100 * judge.expected:.4g} %"


def number_row(claim: Claim, result: ClaimResult) -> tuple[str, ...]:
    """One figure of the study beside a comparable one of ours."""
    judge = claim.judge
    assert isinstance(judge, Accuracy)
    ours = result.evidence[0]
    return (
        _IMAGES.get(claim.data, claim.data),
        _network(claim, judge),
        _PROTOCOLS.get(claim.recipe or "", "published weights"),
        f"{100 * judge.expected:.4g}",
        claim.original_percent or NOTHING,
        percent_number(ours.measured.value),
        format_interval(ours.measured, " to "),
        f"{ours.measured.n:,}",
        with_interval(ours.test) if ours.test else NOTHING,
        told(ours.differs) or "nothing",
        result.verdict,
    )


def smaller_row(claim: Claim, result: ClaimResult) -> tuple[str, ...]:
    """One figure of the study beside a result that does not decide it."""
    judge = claim.judge
    assert isinstance(judge, Accuracy)
    ours = result.evidence[0]
    return (
        ours.data,
        _network(claim, judge),
        f"{100 * judge.expected:.4g}",
        percent_number(ours.measured.value),
        format_interval(ours.measured, " to "),
        f"{ours.measured.n:,}",
        with_interval(ours.test) if ours.test else NOTHING,
        told(ours.differs) or "nothing",
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
        "; ".join([*one.differs, *(f"older recipe: {change}" for change in one.older_recipe)]) or "nothing",
        one.hardware,
    )


def run_brief(one: Evidence) -> str:
    """One experiment in a line."""
    seeds = f"seeds {', '.join(map(str, one.seeds))}, " if len(one.seeds) > 1 else ""
    test = f", test {with_interval(one.test, ' %')}" if one.test else ""
    return (
        f"{one.scale}/{one.role}: {one.measure} {with_interval(one.measured, ' %')}{test}, {seeds}{one.minutes:.1f} min"
    )


def with_interval(estimate: Estimate, sign: str = "") -> str:
    """`79.9 % (78.5 to 81.2, n = 3,501)`."""
    return f"{percent_number(estimate.value)}{sign} ({format_interval(estimate, ' to ')}, n = {estimate.n:,})"


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(markdown, cells)) + " |"

    return [line(columns), "|" + "---|" * len(columns), *map(line, rows)]


def _network(claim: Claim, judge: Accuracy) -> str:
    last = next((part for part in claim.id.split(".") if part in _NETWORKS), None)
    name = _NETWORKS[last] if last else "MobileNetV2"
    return name if judge.at_epoch is None else f"{name}, epoch {judge.at_epoch}"
