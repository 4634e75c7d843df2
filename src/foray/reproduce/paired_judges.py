"""Statements about two or more networks, judged by paired tests on the same test images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from foray.decision import paired_record
from foray.recipes.toml import validated
from foray.records import PairedLoss
from foray.records.quantities import format_points
from foray.records.reproduction import ClaimResult, Verdict
from foray.reproduce.claim import Claim, Gap, Order
from foray.reproduce.curve_shape import trend
from foray.reproduce.evidence import correct, evidence_of
from foray.reproduce.findings import Findings, Runs
from foray.reproduce.margins import UNSTEADY
from foray.reproduce.pair_words import difference_in_words, gain_in_words
from foray.reproduce.results_folder import Result, RunResult
from foray.reproduce.role_words import in_words
from foray.reproduce.statement_verdict import Shown, luck, shown_words, stated, verdict_of
from foray.reproduce.without_result import how_to_run, why_without, without_result
from foray.runs.mixed import mixed_precisions, not_in_one_precision

_ERROR = 0.05  # of all intervals of a claim together, two-sided
_LAST = 5  # epochs by whose spread a last epoch is called partly luck
_OF_STEP: Mapping[str, Shown] = {"worse": "holds", "not_worse": "contrary", "unresolved": "open"}


def judged_order(claim: Claim, judge: Order, findings: Findings) -> ClaimResult:
    """Every step that has results is tested; a step without leaves undecided what the others do not refute."""
    steps = [step for chain in judge.chains for step in pairwise(chain)]
    found = [(step, runs) for step in steps if (runs := findings.together(step)) is not None]
    if not found:
        return without_result(claim, findings, judge.roles)
    pairs = [_paired(runs, higher, lower, len(found)) for (lower, higher), runs in found]
    shown = [_OF_STEP[pair.status] for pair in pairs]
    verdict = order_verdict(pairs)
    told = [_step_words(pair, runs) for pair, (_, runs) in zip(pairs, found, strict=True)]
    if len(found) > 1:
        told.append(f"The {len(found)} intervals hold together at 95 %.")
    told += _cautions(claim, zip(shown, pairs, [runs for _, runs in found], strict=True))
    if absent := [step for step in steps if step not in [tested for tested, _ in found]]:
        verdict = verdict if verdict == "not reproduced" else "undecided"
        told.append(f"Steps without a result: {len(absent)} of {len(steps)}.")
        told.append(_why_absent(claim, findings, absent))
    used: dict[tuple[str, str], Sequence[Result]] = {
        (role, results[0].info.scale): results for _, runs in found for role, results in runs.items()
    }
    brief = f"{shown.count('holds')} of {len(steps)} steps shown"
    return stated(claim, verdict, " ".join(told), [evidence_of(results) for results in used.values()], pairs, brief)


def judged_gap(claim: Claim, judge: Gap, findings: Findings) -> ClaimResult:
    """What the candidate gains, against the margin."""
    runs = findings.together(judge.roles)
    if runs is None:
        return without_result(claim, findings, judge.roles)
    pair = _paired(runs, judge.reference, judge.candidate)
    shown = _of_gap(judge, pair)
    measured = difference_in_words(pair, "candidate", f"margin {format_points(judge.margin)}")
    said = [f"{measured}: {shown_words(shown, pair.seeds)}.", *_cautions(claim, [(shown, pair, runs)])]
    brief = gain_in_words(pair) + (", the contrary in one training of each" if _is_luck(shown, pair) else "")
    evidence = [evidence_of(runs[role]) for role in judge.roles]
    return stated(claim, gap_verdict(judge, pair), " ".join(said), evidence, [pair], brief)


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


def _why_absent(claim: Claim, findings: Findings, steps: Sequence[tuple[str, str]]) -> str:
    """Roles that were not run, each once, pairs that were but are not compared, and the way to all of them."""
    not_run = list(dict.fromkeys(role for step in steps for role in step if role not in findings.results))
    groups = [not_run, *(step for step in steps if not set(step) & set(not_run))]
    told = [why_without(findings, roles) for roles in groups if roles]
    return " ".join([*told, how_to_run(claim, findings, [role for step in steps for role in step])])


def _is_luck(shown: Shown, pair: PairedLoss) -> bool:
    """The contrary, shown by one training of each."""
    return shown == "contrary" and pair.seeds == 1


def _paired(runs: Runs, reference: str, candidate: str, intervals: int = 1) -> PairedLoss:
    """The loss of `candidate` against `reference` on their test images, which are the same (Findings.together).

    Its bounds are those of a two-sided 95 % interval; of one among `intervals` that hold together (Bonferroni).
    """
    (_, of_reference), (_, of_candidate) = correct(runs[reference], "test"), correct(runs[candidate], "test")
    seeds = min(len(of_reference), len(of_candidate))
    confidence = 1 - _ERROR / 2 / intervals
    return paired_record(
        reference, of_reference[:seeds], candidate, of_candidate[:seeds], 0.0, confidence, "test"
    )  # fmt: skip


def _step_words(pair: PairedLoss, runs: Runs) -> str:
    """A sentence about a pair whose reference should be the better one, with the resolution and epochs of both."""
    one, other = (runs[role][0] for role in (pair.reference, pair.candidate))
    sides = [run.record.architecture.resolution for run in (one, other)]
    epochs = [len(run.history) for run in (one, other)]
    how = f"{_against(sides)} px, {_against(epochs)} epochs"
    return f"{difference_in_words(pair, 'reference', how)}: {shown_words(_OF_STEP[pair.status], pair.seeds)}."


def _against(numbers: Sequence[int]) -> str:
    return " against ".join(map(str, dict.fromkeys(numbers)))


def _cautions(claim: Claim, steps: Iterable[tuple[Shown, PairedLoss, Runs]]) -> list[str]:
    """What a reader has to know of the trainings: mixed precisions, last epochs that are luck, single seeds."""
    spreads: dict[str, float] = {}
    mixed: dict[str, str] = {}
    single = []
    for shown, pair, runs in steps:
        mixed |= mixed_precisions(
            {in_words(role): [run.record for run in seeds[: pair.seeds]] for role, seeds in runs.items()}
        )
        spreads |= {role: _spread_at_the_end(seeds) for role, seeds in runs.items()}
        if _is_luck(shown, pair):
            single.append(runs[pair.reference][0].info.scale)
    unsteady = [
        f"Val of {in_words(role)} moves by {format_points(spread)} from epoch to epoch (standard deviation around a "
        f"line, last {_LAST} epochs), and its last epoch is the one that counts."
        for role, spread in spreads.items()
        if spread > UNSTEADY
    ]
    precision = [not_in_one_precision(mixed)] if mixed else []
    return precision + unsteady + ([luck(claim, single[0])] if single else [])


def _spread_at_the_end(seeds: Sequence[RunResult]) -> float:
    """How far val strays from a line over the last epochs, the most of all seeds.

    0 where the best epoch is kept, and with fewer epochs.
    """
    if validated(seeds[0].record.recipe, "the record").checkpoint == "best":
        return 0.0
    ends = [[row.val_top1 for row in run.history[-_LAST:]] for run in seeds]
    known = [[value for value in end if value is not None] for end in ends]
    return max((trend(end).spread for end in known if len(end) == _LAST), default=0.0)
