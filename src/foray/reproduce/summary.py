"""The page's summary: ten points at most that can be quoted, every number in them from the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType

from foray.records.reproduction import ClaimResult, Reproduction, Verdict
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, CurveShape, Gap, Order, TimeRatio
from foray.reproduce.page_tables import comparable, is_comparable, number_row, with_interval
from foray.reproduce.paired_judges import difference_in_words

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
_ALIKE = "comparison.equal_protocol"
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
        "Shown by runs of our own": _found(results, "reproduced", Order | Gap | CurveShape),
        "Not decided yet": _found(results, "undecided"),
        "Does not hold": _found(results, "not reproduced"),
        "Errors in the study": _found(results, "error in the study"),
        "Trained alike on DeepWeeds": _equal_protocol(results.get(_ALIKE)),
        "Time, in turns on one machine": [one for _, one in _findings(results, "reproduced", TimeRatio)],
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
            told.append(f"{run}: {comparable(claim.judge, one)} of the study on val, {one.verdict}.{on_test}")
    return told


def _found(results: _Results, verdict: Verdict, of: type[object] | UnionType = object) -> list[str]:
    """Statements of the study with this verdict, each with what was found; `of`: how they are judged."""
    return [f"{CLAIMS[name].statement} Found: {finding}" for name, finding in _findings(results, verdict, of)]


def _findings(results: _Results, verdict: Verdict, of: type[object] | UnionType) -> list[tuple[str, str]]:
    """Claim and first sentence of its result; the comparison of networks trained alike is a point of its own."""
    return [
        (name, _first_sentence(one.sentence))
        for name, one in results.items()
        if one.verdict == verdict
        and CLAIMS[name].origin == "study"
        and isinstance(CLAIMS[name].judge, of)
        and name != _ALIKE
    ]


def _first_sentence(text: str) -> str:
    head, point, _ = text.partition(". ")
    return f"{head}." if point else text


def _equal_protocol(result: ClaimResult | None) -> list[str]:
    """Each network against MobileNetV2, both trained alike; the reference should be the more accurate one."""
    return [f"{difference_in_words(pair, 'reference')}." for pair in result.pairs] if result else []


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
