"""From findings to verdicts: every kind of claim by its own rule."""

from __future__ import annotations

from collections.abc import Sequence

from foray.records.reproduction import ClaimResult, Evidence, Verdict
from foray.reproduce.claim import Accuracy, Arithmetic, Claim, CurveShape, Gap, Order, TimeRatio
from foray.reproduce.curve_shape import shape_of
from foray.reproduce.differences import told
from foray.reproduce.evidence import with_interval
from foray.reproduce.findings import Findings
from foray.reproduce.folds import over_folds
from foray.reproduce.judge_times import judged_times
from foray.reproduce.paired_judges import judged_gap, judged_order
from foray.reproduce.results_folder import RunResult
from foray.reproduce.statement_verdict import luck, stated, verdict_of
from foray.reproduce.without_result import without_result


def judged(claim: Claim, findings: Findings) -> ClaimResult:
    """The verdict on the claim."""
    match claim.judge:
        case Arithmetic() as judge:
            return _arithmetic(claim, judge, findings)
        case Accuracy() as judge:
            found = _accuracy(claim, judge, findings)
        case Order() as judge:
            found = judged_order(claim, judge, findings)
        case Gap() as judge:
            found = judged_gap(claim, judge, findings)
        case TimeRatio() as judge:
            return judged_times(claim, judge, findings)
        case CurveShape() as judge:
            found = _curve(claim, judge, findings)
    return _as_mini(found) if findings.mini else _with_older(found)


def accuracy_verdict(judge: Accuracy, evidence: Evidence) -> Verdict:
    """A number is reproduced on the study's images by its protocol only, and exceeded on these images only."""
    measured = judge.of(evidence)
    if evidence.differs:
        above = measured.value > judge.expected + judge.tolerance and measured.low > judge.expected
        on_its_images = evidence.differs == evidence.protocol_differs
        return "exceeded by another protocol" if above and on_its_images else "differs in protocol"
    if abs(measured.value - judge.expected) <= judge.tolerance or measured.low <= judge.expected <= measured.high:
        return "reproduced"
    return "exceeded" if measured.value > judge.expected else "not reproduced"


def _arithmetic(claim: Claim, judge: Arithmetic, findings: Findings) -> ClaimResult:
    result = judge.compute()
    return ClaimResult(
        claim=claim.id,
        verdict=result.verdict,
        brief=result.brief,
        sentence=result.sentence,
        arithmetic=list(result.lines),
        evidence=findings.evidence(judge.roles),
    )


def _accuracy(claim: Claim, judge: Accuracy, findings: Findings) -> ClaimResult:
    if judge.role not in findings.results:
        return without_result(claim, findings, [judge.role])
    evidence = findings.evidence(judge.roles, judge.at_epoch)
    ours, printed = evidence[0], f"{100 * judge.expected:.4g} %"
    verdict, measured = accuracy_verdict(judge, ours), judge.of(ours)
    seeds = f", {len(ours.seeds)} seeds" if len(ours.seeds) > 1 else ""
    on = "" if judge.on == "val" else f" on {judge.on}"
    value = with_interval(measured, f" %{on}", seeds)
    if judge.at_epoch is not None:
        value += f", {ours.measure},"
    match verdict:
        case "exceeded by another protocol":
            said = f"{value} against {printed}, with {told(ours.differs)}."
        case "differs in protocol":
            said = f"{value} here, {printed} in the study. What differs: {told(ours.differs)}."
        case _:
            said = f"{value} against {printed}."
    folds = over_folds([findings.results[role] for role in judge.roles if role in findings.results])
    return ClaimResult(claim=claim.id, verdict=verdict, sentence=f"{said} {folds}".strip(), evidence=evidence)


def _curve(claim: Claim, judge: CurveShape, findings: Findings) -> ClaimResult:
    runs = [one for one in findings.results.get(judge.role, ()) if isinstance(one, RunResult)]
    if not runs:
        return without_result(claim, findings, judge.roles)
    shown, said = shape_of([run.history for run in runs], judge)
    if shown == "contrary" and len(runs) == 1:
        said += f" This training shows the contrary. {luck(claim, runs[0].info.scale)}"
    return stated(claim, verdict_of([(shown, len(runs))]), said, findings.evidence(judge.roles))


def _as_mini(found: ClaimResult) -> ClaimResult:
    """Mini results are shown and never judged, including their pairs and curves."""
    said = found.sentence
    if found.evidence:
        values = [100 * one.measured.value for one in found.evidence]
        runs = "1 run" if len(values) == 1 else f"{len(values)} runs"
        on = ", ".join(dict.fromkeys(one.data for one in found.evidence))
        range_ = f"{min(values):.0f}" if len(set(values)) == 1 else f"{min(values):.0f} to {max(values):.0f}"
        said = f"the code path ran ({runs} on {on}: {range_} % right)."
    return found.model_copy(update={"verdict": "no result", "sentence": f"Mini, not judged: {said}"})


def _with_older(found: ClaimResult) -> ClaimResult:
    """Results of an older version of a recipe are kept, and the claim says what differs and how to run it again."""
    stale = dict.fromkeys(f"{one.role} ({told(one.older_recipe)})" for one in found.evidence if one.older_recipe)
    if not stale or found.verdict == "no result":  # which names the command itself
        return found
    said = (
        f"{found.sentence} Made with another version of the recipe: {', '.join(stale)}. The result is kept; "
        f"foray reproduce {found.claim}{_scale_of(found.evidence)} runs it again with the present one."
    )
    by_another = found.verdict == "exceeded by another protocol"  # of whatever version
    verdict: Verdict = found.verdict if by_another else "differs in protocol"
    return found.model_copy(update={"verdict": verdict, "sentence": said})


def _scale_of(evidence: Sequence[Evidence]) -> str:
    """The option that runs the stale ones again."""
    scales = dict.fromkeys(one.scale for one in evidence if one.older_recipe)
    return f" --scale {'|'.join(scales)}"
