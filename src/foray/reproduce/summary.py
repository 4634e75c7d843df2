"""The page's summary: ten points at most that can be quoted, every number in them from the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foray.records import PairedLoss
from foray.records.quantities import format_points
from foray.records.reproduction import ClaimResult, Reproduction, Verdict
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, CurveShape, Gap, Judge, Order, TimeRatio
from foray.reproduce.page_tables import comparable, is_comparable, number_row, with_interval
from foray.reproduce.role_words import in_words

_Results = Mapping[str, ClaimResult]
_COUNTED: Mapping[Verdict, tuple[str, str]] = {
    "reproduced": ("holds", "hold"),
    "exceeded": ("is exceeded", "are exceeded"),
    "exceeded by another protocol": ("is exceeded by another protocol", "are exceeded by another protocol"),
    "not reproduced": ("does not hold", "do not hold"),
    "error in the study": ("is an error in the study", "are errors in the study"),
    "undecided": ("is undecided", "are undecided"),
    "differs in protocol": ("was tried with another protocol only", "were tried with another protocol only"),
    "no result": ("has no result yet", "have no result yet"),
}  # fmt: skip
_ADVICE = (
    "Compare networks that are trained alike on your own images, with their latency on your device beside them "
    "(foray compare). The study's comparison changes network and protocol together."
)


@dataclass(frozen=True)
class Point:
    """What several facts of the summary have in common, and one sentence for each."""

    title: str
    facts: tuple[str, ...]


def summary_of(found: Reproduction) -> tuple[Point, ...]:
    """What holds, what does not, what was misprinted, and what it means for a choice today."""
    results = {one.claim: one for one in found.results}
    points = {
        "Verdicts": _counts(results),
        "The study's figures, on its images": _figures(results),
        "Shown by runs of our own": _tested(results, "reproduced"),
        "Not decided yet": _tested(results, "undecided"),
        "Does not hold": _refuted(results),
        "Errors in the study": _said(results, "error in the study"),
        "Trained alike on DeepWeeds, on test": _equal_protocol(results.get("comparison.equal_protocol")),
        "Time": _said(results, "reproduced", of=TimeRatio),
        "For a choice today": [_ADVICE],
    }
    return tuple(Point(title, tuple(facts)) for title, facts in points.items() if facts)


def _counts(results: _Results) -> list[str]:
    counted = Counter(one.verdict for one in results.values() if CLAIMS[one.claim].origin == "study")
    told = [f"{n} {_COUNTED[verdict][n > 1]}" for verdict in _COUNTED if (n := counted[verdict])]
    return [f"Of {sum(counted.values())} statements of the study {_joined(told)}."]


def _figures(results: _Results) -> list[str]:
    """Those that have a comparable result of ours."""
    told = []
    for name, one in results.items():
        claim = CLAIMS[name]
        if isinstance(claim.judge, Accuracy) and is_comparable(one):
            run = ", ".join(number_row(claim, one)[:3])  # images, network, protocol
            test = one.evidence[0].test
            on_test = f" Test: {with_interval(test, ' %')}." if test else ""
            told.append(f"{run}: {comparable(claim.judge, one)} of the study.{on_test}")
    return told


def _tested(results: _Results, verdict: Verdict) -> list[str]:
    """Statements of the study about its own experiments, in its words."""
    return [
        CLAIMS[name].statement
        for name, one in _of_the_study(results, verdict)
        if isinstance(CLAIMS[name].judge, Order | Gap | CurveShape)
    ]


def _said(results: _Results, verdict: Verdict, of: type[Judge] | None = None) -> list[str]:
    """What came out of statements with this verdict, one sentence each; `of`: those judged in one way alone."""
    return [
        _first_sentence(one.sentence)
        for name, one in _of_the_study(results, verdict)
        if of is None or isinstance(CLAIMS[name].judge, of)
    ]


def _refuted(results: _Results) -> list[str]:
    """Statements of the study that do not hold, each with what was found in its place."""
    return [
        f"{CLAIMS[name].statement} Found: {_first_sentence(one.sentence)}"
        for name, one in _of_the_study(results, "not reproduced")
    ]


def _of_the_study(results: _Results, verdict: Verdict) -> list[tuple[str, ClaimResult]]:
    return [(name, one) for name, one in results.items() if one.verdict == verdict and CLAIMS[name].origin == "study"]


def _first_sentence(text: str) -> str:
    head, point, _ = text.partition(". ")
    return f"{head}." if point else text


def _equal_protocol(result: ClaimResult | None) -> list[str]:
    """What each network gains over MobileNetV2 when both are trained alike."""
    return [_gain(pair) for pair in result.pairs] if result else []


def _gain(pair: PairedLoss) -> str:
    """`pair.reference` should be the more accurate one."""
    gains = f"gains {format_points(pair.loss)}" if pair.loss >= 0 else f"loses {format_points(-pair.loss)}"
    return (
        f"{in_words(pair.reference)} {gains} against {in_words(pair.candidate)} "
        f"({100 * pair.lower:.1f} to {100 * pair.upper:.1f}, n = {pair.n:,}, "
        f"{pair.seeds} {'seed' if pair.seeds == 1 else 'seeds'})."
    )


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
