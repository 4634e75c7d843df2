"""The page's summary: ten lines at most that can be quoted, every number in them from the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType

from foray.records.reproduction import ClaimResult, Reproduction, Verdict
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, Arithmetic, CurveShape, Gap, Order, TimeRatio
from foray.reproduce.evidence import with_interval
from foray.reproduce.page_tables import comparable, is_comparable, number_row
from foray.reproduce.pair_words import steps_in_words
from foray.reproduce.role_words import DATA
from foray.reproduce.statements import STATEMENTS
from foray.reproduce.verdict_words import VERDICT_WORDS

_Results = Mapping[str, ClaimResult]
_ALIKE = "comparison.equal_protocol"
_ADVICE = (
    "Compare networks that are trained alike on your own images, with their latency on your device beside them "
    "(foray compare). The study's comparison changes network and protocol together."
)
_KINDS: tuple[tuple[type[object] | UnionType, str], ...] = (
    (Arithmetic, "by arithmetic or quotation"),
    (TimeRatio, "by timing"),
    (Accuracy | Order | Gap | CurveShape, "by training"),
)


@dataclass(frozen=True)
class SummaryLine:
    """One line of the summary."""

    title: str
    text: str


def summary_of(found: Reproduction) -> tuple[SummaryLine, ...]:
    """What holds, what does not, what was misprinted, and what it means for a choice today."""
    results = {one.claim: one for one in found.results}
    points = {
        "Verdicts": _counts(results),
        "Accuracy": _figures(results),
        "Holds in our trainings": _briefs(results, "reproduced", Order | Gap | CurveShape),
        "Holds in our timings, in turns on one machine": _briefs(results, "reproduced", TimeRatio),
        "Does not hold": _briefs(results, "not reproduced"),
        "Not decided": _briefs(results, "undecided"),
        "Errors in the study": _briefs(results, "error in the study"),
        "Trained alike": _trained_alike(results),
        "Other questions of our own": _own_questions(results),
        "For a choice today": _ADVICE,
    }
    return tuple(SummaryLine(title, text) for title, text in points.items() if text)


def _counts(results: _Results) -> str:
    of_study = [one for one in results.values() if CLAIMS[one.claim].origin == "study"]
    if not of_study:
        return ""
    counted = Counter(one.verdict for one in of_study)
    told = [f"{n} {words[n > 1]}" for verdict, words in VERDICT_WORDS.items() if (n := counted[verdict])]
    holds = [CLAIMS[one.claim].judge for one in of_study if one.verdict == "reproduced"]
    if holds:
        kinds = [f"{n} {words}" for kind, words in _KINDS if (n := sum(isinstance(judge, kind) for judge in holds))]
        told[0] += f" ({', '.join(kinds)})"
    names = {one.claim for one in of_study}
    statements = sum(not names.isdisjoint(one.claims) for one in STATEMENTS)
    return f"{len(of_study)} claims judge {statements} of the study's {len(STATEMENTS)} statements: {_joined(told)}."


def _figures(results: _Results) -> str:
    """Those that have a comparable result of ours."""
    told = []
    for name, one in results.items():
        claim = CLAIMS[name]
        if isinstance(claim.judge, Accuracy) and is_comparable(one):
            images, network, protocol = number_row(claim, one)[:3]
            by = ", by another protocol" if one.verdict == "exceeded by another protocol" else ""
            test = one.evidence[0].test if claim.judge.on == "val" else None
            on_test = f"; {with_interval(test, ' %')} on test" if test else ""
            told.append(f"{images}, {network} {protocol}: {comparable(claim.judge, one)} in the study{by}{on_test}")
    return ". ".join(told) + "." if told else ""


def _briefs(results: _Results, verdict: Verdict, of: type[object] | UnionType = object) -> str:
    """Statements of the study with this verdict, in a few words each; `of`: how they are judged."""
    return _listed(
        [
            ": ".join(part for part in (CLAIMS[name].brief, _came_out(one)) if part)
            or CLAIMS[name].statement.rstrip(".")
            for name, one in results.items()
            if one.verdict == verdict and CLAIMS[name].origin == "study" and isinstance(CLAIMS[name].judge, of)
        ]
    )


def _came_out(one: ClaimResult) -> str:
    return steps_in_words(one.pairs) if isinstance(CLAIMS[one.claim].judge, Order) else one.brief


def _trained_alike(results: _Results) -> str:
    """What each network gains over MobileNetV2 by the same protocols on the same images, and at what cost."""
    told = []
    for name in ("b0", "v2b0"):
        one = results.get(f"{_ALIKE}.{name}")
        if one is not None and one.pairs:
            latency = results.get(f"{_ALIKE}.latency.{name}")
            cost = f"; time per image at 224 px {latency.brief}" if latency and latency.brief else ""
            told.append(f"{DATA['deepweeds']}, {CLAIMS[one.claim].brief}: {steps_in_words(one.pairs)}{cost}")
    return ". ".join(told) + "." if told else ""


def _own_questions(results: _Results) -> str:
    """The other comparisons that are not the study's: their verdicts, and what came out."""
    told_above = {f"{_ALIKE}.b0", f"{_ALIKE}.v2b0"}
    return _listed(
        [
            f"{CLAIMS[name].brief}, {one.verdict}: {steps_in_words(one.pairs)}"
            for name, one in results.items()
            if CLAIMS[name].origin == "ours" and name not in told_above and one.pairs
        ]
    )


def _listed(items: Sequence[str]) -> str:
    """One sentence of all; none of no item."""
    text = "; ".join(items)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
