"""From evidence to verdicts: one function per kind of claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foray.decision import paired_record
from foray.records import PairedLoss
from foray.records.quantities import format_interval, format_points, percent_number
from foray.records.reproduction import ClaimResult, Evidence, Unavailable, Verdict
from foray.reproduce.claim import Accuracy, Arithmetic, Claim, CurveShape, Gap, Order, TimeRatio
from foray.reproduce.evidence import correct, evidence_of
from foray.reproduce.experiments import FULL, STANDIN
from foray.reproduce.results_folder import Result, RunResult
from foray.reproduce.sources import SOURCES
from foray.reproduce.study_curves import shape_of

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Findings:
    """Finished results by role, one scale per role, and why the others have none."""

    results: Mapping[str, Sequence[Result]]
    missing: Mapping[str, Unavailable]
    mini: bool

    def evidence(self, roles: Sequence[str], at_epoch: int | None = None) -> list[Evidence]:
        """Evidence of the roles that have results."""
        return [evidence_of(self.results[role], at_epoch) for role in roles if role in self.results]


def judged(claim: Claim, findings: Findings) -> ClaimResult:
    """The verdict on the claim."""
    judge = claim.judge
    if isinstance(judge, Arithmetic):
        result = judge.compute()
        return ClaimResult(
            claim=claim.id,
            verdict=result.verdict,
            sentence=result.sentence,
            arithmetic=list(result.lines),
            evidence=findings.evidence(judge.roles),
        )
    needed = judge.roles
    if not any(role in findings.results for role in needed):
        found = _without_data(claim, findings, needed)
        return _as_mini(found) if findings.mini else found
    match judge:
        case Accuracy():
            found = _accuracy(claim, judge, findings)
        case Order():
            found = _order(claim, judge, findings)
        case Gap():
            found = _gap(claim, judge, findings)
        case TimeRatio():
            found = _time_ratio(claim, judge, findings)
        case CurveShape():
            found = _curve(claim, judge, findings)
    return _as_mini(found) if findings.mini else _with_older(found)


def accuracy_verdict(judge: Accuracy, evidence: Evidence) -> Verdict:
    """A number is judged on the study's images and protocol only."""
    if evidence.stand_in and not evidence.same_images:
        return "data not available here"
    if evidence.differs:
        return "differs in protocol"
    measured = evidence.measured
    if abs(measured.value - judge.expected) <= judge.tolerance or measured.low <= judge.expected <= measured.high:
        return "reproduced"
    return "beaten" if measured.value > judge.expected else "not reproduced"


def order_verdict(pairs: Sequence[PairedLoss]) -> tuple[Verdict, bool]:
    """(verdict, whether it is decided) of pairs in which the reference should be the better one, tolerance 0."""
    if any(pair.status == "not_worse" for pair in pairs):  # the upper bound of its loss is below 0: it is better
        return "not reproduced", True
    return ("reproduced", True) if all(pair.status == "worse" for pair in pairs) else ("not reproduced", False)


def gap_verdict(judge: Gap, pair: PairedLoss) -> tuple[Verdict, bool]:
    """`pair`: the loss of the candidate against the reference, so that its gain is -loss."""
    gain_low, gain_high = -pair.upper, -pair.lower
    if gain_high < judge.margin and (judge.kind == "no better" or gain_low > -judge.margin):
        return "reproduced", True
    contrary = gain_low > judge.margin or (judge.kind == "similar" and gain_high < -judge.margin)
    return "not reproduced", contrary


def _accuracy(claim: Claim, judge: Accuracy, findings: Findings) -> ClaimResult:
    evidence = findings.evidence(judge.roles, judge.at_epoch)
    verdict = accuracy_verdict(judge, evidence[0])
    measured = evidence[0].measured
    value = f"{percent_number(measured.value)} % ({format_interval(measured, ' to ')}, n = {measured.n:,})"
    match verdict:
        case "data not available here":
            said = (
                f"{evidence[0].stand_in} is missing; {evidence[0].data} gives {value}, which says nothing about "
                f"{100 * judge.expected:.4g} %."
            )
        case "differs in protocol":
            said = f"{value} here. What differs: {'; '.join(evidence[0].differs)}."
        case _:
            said = f"{value} against {100 * judge.expected:.4g} %."
    return ClaimResult(claim=claim.id, verdict=verdict, sentence=said, evidence=evidence)


def _order(claim: Claim, judge: Order, findings: Findings) -> ClaimResult:
    all_steps = [step for chain in judge.chains for step in pairwise(chain)]
    steps = [step for step in all_steps if all(role in findings.results for role in step)]
    if not steps:
        return _without_data(claim, findings, judge.roles)
    confidence = 1 - (1 - _CONFIDENCE) / len(steps)  # Bonferroni: all bounds hold together
    pairs = [_paired(findings, higher, lower, confidence) for lower, higher in steps]
    verdict, decided = order_verdict(pairs)
    evidence = findings.evidence(judge.roles)
    told = "; ".join(_step_words(pair) for pair in pairs)
    if len(steps) < len(all_steps):
        decided = decided and verdict == "not reproduced"  # one contrary step is enough
        absent = dict.fromkeys(role for step in all_steps for role in step if role not in findings.results)
        told += f"; {len(all_steps) - len(steps)} of {len(all_steps)} steps are without results ({', '.join(absent)})"
    say = _said if judge.ours else _qualitative
    return say(claim, verdict, decided, f"{told}.", evidence, pairs)


def _gap(claim: Claim, judge: Gap, findings: Findings) -> ClaimResult:
    if any(role not in findings.results for role in judge.roles):
        return _without_data(claim, findings, judge.roles)
    pair = _paired(findings, judge.reference, judge.candidate, _CONFIDENCE)
    verdict, decided = gap_verdict(judge, pair)
    said = (
        f"{judge.candidate} gains {format_points(-pair.loss)} over {judge.reference} on test "
        f"({format_points(-pair.upper)} to {format_points(-pair.lower)}, n = {pair.n:,}); margin "
        f"{format_points(judge.margin)}."
    )
    return _qualitative(claim, verdict, decided, said, findings.evidence(judge.roles), [pair])


def _time_ratio(claim: Claim, judge: TimeRatio, findings: Findings) -> ClaimResult:
    if any(role not in findings.results for role in judge.roles):
        return _without_data(claim, findings, judge.roles)
    fast, slow = findings.evidence(judge.roles)
    times = [
        one.minutes * 60 / max(1, len(one.seeds)) if judge.of == "run" else one.seconds_per_epoch
        for one in (fast, slow)
    ]
    if not times[0] or not times[1]:
        return _without_data(claim, findings, judge.roles)
    ratio = times[1] / times[0]
    same_machine = fast.hardware == slow.hardware
    holds = same_machine and ratio >= judge.low and (judge.high is None or ratio <= judge.high)
    if judge.of == "run":
        unit, how = "a run", "one run each"
    else:
        unit, how = "an epoch", f"medians of {slow.epochs} and {fast.epochs} epochs, the first left out"
    said = (
        f"{ratio:.2f} times: {times[1]:.1f} s {unit} of {slow.model} at {slow.resolution} px against "
        f"{times[0]:.1f} s of {fast.model} at {fast.resolution} px ({how}, {fast.hardware})"
    )
    said += "." if same_machine else f", but on different machines ({slow.hardware}): run both on one."
    verdict: Verdict = "reproduced" if holds else "not reproduced"
    # The time of an epoch depends neither on the number of epochs nor on the source of the weights.
    return _said(claim, verdict, same_machine, said, [fast, slow])


def _curve(claim: Claim, judge: CurveShape, findings: Findings) -> ClaimResult:
    runs = [result for result in findings.results[judge.role] if isinstance(result, RunResult)]
    holds, said = shape_of(runs[0].history, judge.shape)
    verdict: Verdict = "reproduced" if holds else "not reproduced"
    return _qualitative(claim, verdict, True, said, findings.evidence([judge.role]))


def _paired(findings: Findings, reference: str, candidate: str, confidence: float) -> PairedLoss:
    """The loss of `candidate` against `reference` over the test images that both were scored on."""
    reference_ids, reference_right = correct(findings.results[reference], "test")
    candidate_ids, candidate_right = correct(findings.results[candidate], "test")
    _, of_reference, of_candidate = np.intersect1d(reference_ids, candidate_ids, return_indices=True)
    seeds = min(len(reference_right), len(candidate_right))
    return paired_record(
        reference, reference_right[:seeds, of_reference], candidate, candidate_right[:seeds, of_candidate], 0.0,
        confidence, "test",
    )  # fmt: skip


def _step_words(pair: PairedLoss) -> str:
    shown = {"worse": "shown", "not_worse": "the contrary is shown", "unresolved": "not decided"}[pair.status]
    return (
        f"{pair.reference} over {pair.candidate}: {format_points(pair.loss)} "
        f"({format_points(pair.lower)} to {format_points(pair.upper)}, n = {pair.n:,}, {pair.seeds} "
        f"{'seed' if pair.seeds == 1 else 'seeds'}): {shown}"
    )


def _qualitative(
    claim: Claim,
    verdict: Verdict,
    decided: bool,
    said: str,
    evidence: list[Evidence],
    pairs: Sequence[PairedLoss] = (),
) -> ClaimResult:
    """A statement is judged on stand-ins too, but not where training differs from the study's."""
    if any(one.recipe_differs for one in evidence):
        changed = list(dict.fromkeys(change for one in evidence for change in one.recipe_differs))
        words = {"reproduced": "the claim holds", "not reproduced": "the claim does not hold"}[verdict]
        outcome = f"Here {words if decided else 'it is not decided'}"
        said = f"{outcome}, with another protocol ({'; '.join(changed)}). {said[0].upper()}{said[1:]}"
        return _said(claim, "differs in protocol", decided, said, evidence, pairs)
    return _said(claim, verdict, decided, said, evidence, pairs)


def _said(
    claim: Claim,
    verdict: Verdict,
    decided: bool,
    said: str,
    evidence: list[Evidence],
    pairs: Sequence[PairedLoss] = (),
) -> ClaimResult:
    stand_ins = dict.fromkeys(f"{one.data} in place of {one.stand_in}" for one in evidence if one.stand_in)
    if stand_ins:
        said = f"On a stand-in ({'; '.join(stand_ins)}): {said}"
    if not decided and verdict == "not reproduced":
        said += " These images are too few to decide."
    return ClaimResult(
        claim=claim.id, verdict=verdict, decided=decided, sentence=said, evidence=evidence, pairs=list(pairs)
    )


def _without_data(claim: Claim, findings: Findings, roles: Sequence[str]) -> ClaimResult:
    absent = [role for role in roles if role not in findings.results]
    failed = [role for role in absent if role in findings.missing and findings.missing[role].kind == "failed"]
    reasons = dict.fromkeys(findings.missing[role].reason for role in absent if role in findings.missing)
    told = " ".join(reasons) or _how_to_get(claim, absent)
    return ClaimResult(
        claim=claim.id,
        verdict="not reproduced" if failed else "data not available here",
        sentence=told,
        evidence=findings.evidence(roles),
    )


def _how_to_get(claim: Claim, absent: Sequence[str]) -> str:
    own = dict.fromkeys(FULL[role].source for role in absent if role in FULL)
    ways = []
    if all(role in STANDIN for role in absent):
        there = [STANDIN[role] for role in absent]
        others = dict.fromkeys(("a part of " if one.per_class else "") + SOURCES[one.source].title for one in there)
        ways.append(f"--scale standin does on {' and '.join(others)}")
    if own:
        ways.append(f"--scale full does on {' and '.join(SOURCES[name].title for name in own)}")
    images = " ".join(f"{SOURCES[name].title}: {SOURCES[name].manual_of_commands}" for name in own)
    return f"Not run: foray reproduce {claim.id} {', '.join(ways)}. {images}".strip()


def _as_mini(found: ClaimResult) -> ClaimResult:
    """Mini results are shown and never judged, including their pairs and curves."""
    if not found.evidence:
        said = f"Mini, not judged: {found.sentence}"
        return found.model_copy(update={"verdict": "data not available here", "sentence": said})
    values = [100 * one.measured.value for one in found.evidence]
    runs = "1 run" if len(values) == 1 else f"{len(values)} runs"
    on = ", ".join(dict.fromkeys(one.data for one in found.evidence))
    range_ = f"{min(values):.0f}" if len(set(values)) == 1 else f"{min(values):.0f} to {max(values):.0f}"
    absent = any(one.stand_in and not one.same_images for one in found.evidence)
    return found.model_copy(
        update={
            "verdict": "data not available here" if absent else "differs in protocol",
            "decided": True,
            "sentence": f"Mini, not judged: the code path ran ({runs} on {on}: {range_} % right).",
        }
    )


def _with_older(found: ClaimResult) -> ClaimResult:
    """Results of an older version of a recipe are kept, and the claim says what differs and how to run it again."""
    stale = dict.fromkeys(f"{one.role} ({'; '.join(one.older_recipe)})" for one in found.evidence if one.older_recipe)
    if not stale:
        return found
    said = (
        f"{found.sentence} Made with another version of the recipe: {', '.join(stale)}. The result is kept; "
        f"foray reproduce {found.claim} runs it again with the present one."
    )
    judged_alike: Verdict = found.verdict if found.verdict == "data not available here" else "differs in protocol"
    return found.model_copy(update={"verdict": judged_alike, "sentence": said})
