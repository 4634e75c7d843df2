"""Statements about two or more networks, judged by paired tests on the same test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from foray.decision import paired_record
from foray.records import PairedLoss
from foray.records.quantities import format_points
from foray.records.reproduction import ClaimResult, Verdict
from foray.reproduce.claim import Claim, Gap, Order
from foray.reproduce.evidence import correct, evidence_of
from foray.reproduce.findings import Findings, Runs
from foray.reproduce.results_folder import Result
from foray.reproduce.role_words import in_words
from foray.reproduce.statement_verdict import LUCK, Shown, seeds_words, stated, verdict_of
from foray.reproduce.without_result import why_not_together, without_result

_CONFIDENCE = 0.95
_OF_STEP: Mapping[str, Shown] = {"worse": "holds", "not_worse": "contrary", "unresolved": "open"}


def judged_order(claim: Claim, judge: Order, findings: Findings) -> ClaimResult:
    """Every step that has results is tested; a step without leaves undecided what the others do not refute."""
    steps = [step for chain in judge.chains for step in pairwise(chain)]
    found = [(step, runs) for step in steps if (runs := findings.together(step)) is not None]
    if not found:
        return without_result(claim, findings, judge.roles)
    confidence = 1 - (1 - _CONFIDENCE) / len(found)  # Bonferroni: all bounds hold together
    pairs = [_paired(runs, higher, lower, confidence) for (lower, higher), runs in found]
    verdict = order_verdict(pairs)
    told = " ".join(map(_step_words, pairs))
    if any(_is_luck(_OF_STEP[pair.status], pair) for pair in pairs):
        told += f" One training of each {LUCK}"
    if absent := [step for step in steps if step not in [tested for tested, _ in found]]:
        verdict = verdict if verdict == "not reproduced" else "undecided"
        told += f" Steps without a result: {len(absent)} of {len(steps)}. {_why_absent(findings, absent)}"
    used: dict[tuple[str, str], Sequence[Result]] = {
        (role, results[0].info.scale): results for _, runs in found for role, results in runs.items()
    }
    return stated(claim, verdict, told, [evidence_of(results) for results in used.values()], pairs)


def judged_gap(claim: Claim, judge: Gap, findings: Findings) -> ClaimResult:
    """What the candidate gains, against the margin."""
    runs = findings.together(judge.roles)
    if runs is None:
        return without_result(claim, findings, judge.roles)
    pair = _paired(runs, judge.reference, judge.candidate, _CONFIDENCE)
    shown = _of_gap(judge, pair)
    measured = difference_in_words(pair, "candidate", f"; margin {format_points(judge.margin)}")
    if _is_luck(shown, pair):
        said = f"These two networks show the contrary ({measured}); one training of each {LUCK}"
    else:
        words = {"holds": "shown" + _for_these(pair), "contrary": "the contrary is shown", "open": "not decided"}[shown]
        said = f"{measured}: {words}."
    evidence = [evidence_of(runs[role]) for role in judge.roles]
    return stated(claim, gap_verdict(judge, pair), said, evidence, [pair], _gain(pair))


def difference_in_words(pair: PairedLoss, first: Literal["reference", "candidate"], more: str = "") -> str:
    """`A is 4.22 points above B on test (2.85 to 5.61, n = 3,507, one seed each)`, A the `first`; `more`: said last."""
    above, low, high = pair.loss, pair.lower, pair.upper
    one, other = pair.reference, pair.candidate
    if first == "candidate":
        above, low, high, one, other = -above, -high, -low, other, one
    where = "above"
    if above < 0:
        above, low, high, where = -above, -high, -low, "below"
    return (
        f"{in_words(one)} is {format_points(above)} {where} {in_words(other)} on test "
        f"({100 * low:.2f} to {100 * high:.2f}, n = {pair.n:,}, {seeds_words(pair.seeds)}{more})"
    )


def _gain(pair: PairedLoss) -> str:
    """`+11.29 points (10.18 to 12.43, n = 3,507, one seed each)`: what the candidate gains."""
    low, high = -100 * pair.upper, -100 * pair.lower
    return f"{-100 * pair.loss:+.2f} points ({low:.2f} to {high:.2f}, n = {pair.n:,}, {seeds_words(pair.seeds)})"


def order_verdict(pairs: Sequence[PairedLoss]) -> Verdict:
    """Of pairs in which the reference should be the better one, tolerance 0."""
    return verdict_of([(_OF_STEP[pair.status], pair.seeds) for pair in pairs])


def gap_verdict(judge: Gap, pair: PairedLoss) -> Verdict:
    """`pair`: the loss of the candidate against the reference, so that its gain is -loss."""
    return verdict_of([(_of_gap(judge, pair), pair.seeds)])


def _of_gap(judge: Gap, pair: PairedLoss) -> Shown:
    low, high, margin = -pair.upper, -pair.lower, judge.margin
    match judge.kind:
        case "no better":
            holds, contrary = high < margin, low > margin
        case "better":
            holds, contrary = low > margin, high < margin
        case "similar":
            holds, contrary = -margin < low and high < margin, low > margin or high < -margin
    return "holds" if holds else "contrary" if contrary else "open"


def _why_absent(findings: Findings, steps: Sequence[tuple[str, str]]) -> str:
    """Roles that were not run, each once, and pairs that were but are not compared."""
    not_run = list(dict.fromkeys(role for step in steps for role in step if role not in findings.results))
    groups = [not_run, *(step for step in steps if not set(step) & set(not_run))]
    return " ".join(why_not_together(findings, roles) for roles in groups if roles)


def _is_luck(shown: Shown, pair: PairedLoss) -> bool:
    """The contrary, shown by one training of each."""
    return shown == "contrary" and pair.seeds == 1


def _paired(runs: Runs, reference: str, candidate: str, confidence: float) -> PairedLoss:
    """The loss of `candidate` against `reference` over the test images that both were scored on."""
    reference_ids, reference_right = correct(runs[reference], "test")
    candidate_ids, candidate_right = correct(runs[candidate], "test")
    _, of_reference, of_candidate = np.intersect1d(reference_ids, candidate_ids, return_indices=True)
    seeds = min(len(reference_right), len(candidate_right))
    return paired_record(
        reference, reference_right[:seeds, of_reference], candidate, candidate_right[:seeds, of_candidate], 0.0,
        confidence, "test",
    )  # fmt: skip


def _step_words(pair: PairedLoss) -> str:
    """A sentence about a pair whose reference should be the better one."""
    shown = _OF_STEP[pair.status]
    measured = difference_in_words(pair, "reference")
    if _is_luck(shown, pair):
        return f"These two networks show the contrary: {measured}."
    words = {"holds": "shown" + _for_these(pair), "contrary": "the contrary is shown", "open": "not decided"}[shown]
    return f"{measured}: {words}."


def _for_these(pair: PairedLoss) -> str:
    return " for these networks" if pair.seeds == 1 else ""
