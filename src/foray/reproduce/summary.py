"""The page's summary: ten lines at most that can be quoted, every number in them from the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from foray.records import PairedLoss
from foray.records.quantities import format_points
from foray.records.reproduction import ClaimResult, Reproduction, Verdict
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy
from foray.reproduce.page_tables import comparable, is_comparable, with_interval

_Results = Mapping[str, ClaimResult]
_COUNTED: Mapping[Verdict, tuple[str, str]] = {
    "reproduced": ("holds", "hold"),
    "beaten": ("is beaten", "are beaten"),
    "exceeded by another protocol": ("is exceeded by another protocol", "are exceeded by another protocol"),
    "not reproduced": ("does not hold", "do not hold"),
    "error in the study": ("is an error in the study", "are errors in the study"),
    "undecided": ("is undecided", "are undecided"),
    "differs in protocol": ("was tried with another protocol only", "were tried with another protocol only"),
    "no result": ("has no result yet", "have no result yet"),
}  # fmt: skip
_PROTOCOLS = {"frozen": "a frozen backbone", "last34": "the last 34 layers unfrozen", "sgd": "these by SGD",
              "whole": "the whole network trained", "scratch": "training from scratch"}  # fmt: skip
_NETWORKS = {"mobilenet": "MobileNetV2", "b0": "EfficientNet-B0", "v2b0": "EfficientNetV2-B0"}


def summary_of(found: Reproduction) -> tuple[str, ...]:
    """What holds, what does not, what was misprinted, and what it means for a choice today."""
    results = {one.claim: one for one in found.results}
    lines = [
        _counts(results),
        _figures(results, "table1.", "Table 1"),
        _figures(results, "mobilenet.", "MobileNetV2"),
        _statements(results, ("reproduced",), "Holds"),
        _statements(results, ("not reproduced",), "Does not hold"),
        _statements(results, ("error in the study",), "Misprinted, or contradicted by the study itself"),
        _statements(results, ("undecided",), "Undecided"),
        _equal_protocol(results.get("comparison.equal_protocol")),
        _times(results),
        "For a choice today: compare networks trained by one protocol on your own images, with their latency on your "
        "device beside them (`foray compare`). The study's comparison changes network and protocol together.",
    ]
    return tuple(line for line in lines if line)


def _counts(results: _Results) -> str:
    counted = Counter(one.verdict for one in results.values() if CLAIMS[one.claim].origin == "study")
    told = [f"{n} {_COUNTED[verdict][n > 1]}" for verdict in _COUNTED if (n := counted[verdict])]
    return f"Of {sum(counted.values())} statements of the study that were checked, {_joined(told)}."


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


def _statements(results: _Results, verdicts: Sequence[Verdict], title: str) -> str:
    """The statements with these verdicts that are no figures, each in its own words."""
    told = [
        CLAIMS[name].statement.rstrip(".")
        for name, one in results.items()
        if one.verdict in verdicts and CLAIMS[name].origin == "study" and not isinstance(CLAIMS[name].judge, Accuracy)
    ]
    return f"{title}: {'; '.join(told)}." if told else ""


def _equal_protocol(result: ClaimResult | None) -> str:
    """What each network gains over MobileNetV2 when both are trained alike."""
    told = [_gain(pair) for pair in result.pairs] if result else []
    return f"Trained alike on DeepWeeds, on test: {'; '.join(told)}." if told else ""


def _gain(pair: PairedLoss) -> str:
    """`pair.reference` should be the more accurate one."""
    better, _, protocol = pair.reference.removeprefix("deepweeds-").partition("-")
    other = pair.candidate.removeprefix("deepweeds-").partition("-")[0]
    gains = f"gains {format_points(pair.loss)}" if pair.loss >= 0 else f"loses {format_points(-pair.loss)}"
    return (
        f"with {_PROTOCOLS.get(protocol, _PROTOCOLS['scratch'])} {_NETWORKS.get(better, better)} {gains} against "
        f"{_NETWORKS.get(other, other)} ({100 * pair.lower:.1f} to {100 * pair.upper:.1f}, n = {pair.n:,}, "
        f"{pair.seeds} {'seed' if pair.seeds == 1 else 'seeds'})"
    )


def _times(results: _Results) -> str:
    """The measured time of training, of the claim that has one."""
    one = results.get("comparison.faster_to_train")
    if one is None or one.verdict not in ("reproduced", "not reproduced", "undecided"):
        return ""
    return f"MobileNetV2 against EfficientNet-B0, training: {one.sentence}"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
