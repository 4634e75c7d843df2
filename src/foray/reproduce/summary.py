"""The page's summary: ten lines at most that can be quoted, every number in them from the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from foray.records import PairedLoss
from foray.records.quantities import format_points
from foray.records.reproduction import ClaimResult, Reproduction, Verdict
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, CurveShape, Gap, Judge, Order, TimeRatio
from foray.reproduce.page_tables import comparable, is_comparable, with_interval
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


def summary_of(found: Reproduction) -> tuple[str, ...]:
    """What holds, what does not, what was misprinted, and what it means for a choice today."""
    results = {one.claim: one for one in found.results}
    lines = [
        _counts(results),
        _figures(results, "table1.", "Table 1"),
        _figures(results, "mobilenet.", "MobileNetV2"),
        _tested(results, ("reproduced",), "Shown by runs of our own"),
        _tested(results, ("undecided",), "Not decided yet"),
        _refuted(results),
        _said(results, ("error in the study",), "Errors in the study"),
        _equal_protocol(results.get("comparison.equal_protocol")),
        _said(results, ("reproduced",), "Time", of=TimeRatio),
        "For a choice today: compare networks that are trained alike on your own images, with their latency on your "
        "device beside them (foray compare). The study's comparison changes network and protocol together.",
    ]
    return tuple(line for line in lines if line)


def _counts(results: _Results) -> str:
    counted = Counter(one.verdict for one in results.values() if CLAIMS[one.claim].origin == "study")
    told = [f"{n} {_COUNTED[verdict][n > 1]}" for verdict in _COUNTED if (n := counted[verdict])]
    return f"Of {sum(counted.values())} statements of the study {_joined(told)}."


def _figures(results: _Results, prefix: str, title: str) -> str:
    """The figures that have a comparable result of ours."""
    told = []
    for name, one in results.items():
        judge = CLAIMS[name].judge
        if name.startswith(prefix) and isinstance(judge, Accuracy) and is_comparable(one):
            test = one.evidence[0].test
            on_test = f" (test {with_interval(test, ' %')})" if test else ""
            told.append(f"{name.removeprefix(prefix)} {comparable(judge, one)} of the study{on_test}")
    return f"{title}, on the study's images: {'; '.join(told)}." if told else ""


def _tested(results: _Results, verdicts: Sequence[Verdict], title: str) -> str:
    """Statements of the study about its own experiments, in its words."""
    told = [
        CLAIMS[name].statement
        for name, one in results.items()
        if one.verdict in verdicts
        and CLAIMS[name].origin == "study"
        and isinstance(CLAIMS[name].judge, Order | Gap | CurveShape)
    ]
    return f"{title}: {' '.join(told)}" if told else ""


def _said(results: _Results, verdicts: Sequence[Verdict], title: str, of: type[Judge] | None = None) -> str:
    """What came out of statements with these verdicts, one sentence each; `of`: those judged in one way alone."""
    told = [
        _first_sentence(one.sentence)
        for name, one in results.items()
        if one.verdict in verdicts
        and CLAIMS[name].origin == "study"
        and (of is None or isinstance(CLAIMS[name].judge, of))
    ]
    return f"{title}: {' '.join(told)}" if told else ""


def _refuted(results: _Results) -> str:
    """Statements of the study that do not hold, each with what was found in its place."""
    told = [
        f"{CLAIMS[name].statement} Found: {_first_sentence(one.sentence)}"
        for name, one in results.items()
        if one.verdict == "not reproduced" and CLAIMS[name].origin == "study"
    ]
    return f"Does not hold: {' '.join(told)}" if told else ""


def _first_sentence(text: str) -> str:
    head, point, _ = text.partition(". ")
    return f"{head}." if point else text


def _equal_protocol(result: ClaimResult | None) -> str:
    """What each network gains over MobileNetV2 when both are trained alike."""
    told = [_gain(pair) for pair in result.pairs] if result else []
    return f"Trained alike on DeepWeeds, on test: {'; '.join(told)}." if told else ""


def _gain(pair: PairedLoss) -> str:
    """`pair.reference` should be the more accurate one."""
    gains = f"gains {format_points(pair.loss)}" if pair.loss >= 0 else f"loses {format_points(-pair.loss)}"
    return (
        f"{in_words(pair.reference)} {gains} against {in_words(pair.candidate)} "
        f"({100 * pair.lower:.1f} to {100 * pair.upper:.1f}, n = {pair.n:,}, "
        f"{pair.seeds} {'seed' if pair.seeds == 1 else 'seeds'})"
    )


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
