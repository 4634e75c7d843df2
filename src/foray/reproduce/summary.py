"""The page's summary: ten lines at most that can be quoted, every number in them from the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType

from foray.records import PairedLoss
from foray.records.reproduction import ClaimResult, Reproduction, Verdict
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, CurveShape, Gap, Order, TimeRatio
from foray.reproduce.page_tables import comparable, is_comparable, number_row, with_interval
from foray.reproduce.role_words import NETWORKS
from foray.reproduce.statement_verdict import seeds_words

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
    """One line of the summary."""

    title: str
    text: str


def summary_of(found: Reproduction) -> tuple[Point, ...]:
    """What holds, what does not, what was misprinted, and what it means for a choice today."""
    results = {one.claim: one for one in found.results}
    points = {
        "Verdicts": _counts(results),
        "Accuracy, ours on val against the study's": _figures(results),
        "Holds in runs of our own": _briefs(results, "reproduced", Order | Gap | CurveShape),
        "Holds for times, in turns on one machine": _briefs(results, "reproduced", TimeRatio),
        "Does not hold": _briefs(results, "not reproduced"),
        "Not decided": _briefs(results, "undecided"),
        "Errors in the study": _briefs(results, "error in the study"),
        "Trained alike on DeepWeeds": _equal_protocol(results),
        "For a choice today": _ADVICE,
    }
    return tuple(Point(title, text) for title, text in points.items() if text)


def _counts(results: _Results) -> str:
    counted = Counter(one.verdict for one in results.values() if CLAIMS[one.claim].origin == "study")
    told = [f"{n} {_COUNTED[verdict][n > 1]}" for verdict in _COUNTED if (n := counted[verdict])]
    return f"Of {sum(counted.values())} statements of the study {_joined(told)}."


def _figures(results: _Results) -> str:
    """Those that have a comparable result of ours."""
    told = []
    for name, one in results.items():
        claim = CLAIMS[name]
        if isinstance(claim.judge, Accuracy) and is_comparable(one):
            images, network, protocol = number_row(claim, one)[:3]
            other = " by another protocol" if one.verdict == "exceeded by another protocol" else ""
            test = one.evidence[0].test
            on_test = f", {with_interval(test, ' %')} on test" if test else ""
            told.append(f"{images}, {network}, {protocol}: {comparable(claim.judge, one)}{other}{on_test}")
    return _listed(told)


def _briefs(results: _Results, verdict: Verdict, of: type[object] | UnionType = object) -> str:
    """Statements of the study with this verdict, in a few words each; `of`: how they are judged."""
    return _listed(
        [
            ": ".join(part for part in (CLAIMS[name].brief, one.brief) if part) or CLAIMS[name].statement.rstrip(".")
            for name, one in results.items()
            if one.verdict == verdict and CLAIMS[name].origin == "study" and isinstance(CLAIMS[name].judge, of)
        ]
    )


def _equal_protocol(results: _Results) -> str:
    """What each network, the reference of its pairs, gains over MobileNetV2 by the same protocols, and at what cost."""
    result = results.get(_ALIKE)
    if result is None or not result.pairs:
        return ""
    by_network: dict[str, list[PairedLoss]] = {}
    for pair in result.pairs:
        by_network.setdefault(pair.reference.split("-")[1], []).append(pair)
    return _listed([_against_mobilenet(name, pairs, results) for name, pairs in by_network.items()])


def _against_mobilenet(name: str, pairs: Sequence[PairedLoss], results: _Results) -> str:
    gains = sorted(100 * pair.loss for pair in pairs)
    span = f"{gains[0]:+.2f} points" if len(gains) == 1 else f"{gains[0]:+.2f} to {gains[-1]:+.2f} points"
    shown = sum(pair.lower > 0 for pair in pairs)
    protocols = "1 protocol" if len(pairs) == 1 else f"{len(pairs)} protocols"
    latency = results.get(f"{_ALIKE}.latency.{name}")
    cost = f"; time per image {latency.brief}" if latency and latency.brief else ""
    return (
        f"{NETWORKS[name]} against MobileNetV2 {span} on test ({protocols}, {seeds_words(pairs[0].seeds)}, n = "
        f"{pairs[0].n:,}, {shown} of {len(pairs)} intervals above 0){cost}"
    )


def _listed(items: Sequence[str]) -> str:
    """One sentence of all; none of no item."""
    text = "; ".join(items)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
