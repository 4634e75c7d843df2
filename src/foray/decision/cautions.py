"""Warnings beside a verdict: test contradicts selection, splits share images, a latency was not stable."""

from __future__ import annotations

from collections.abc import Sequence

from foray.records import Budget, CandidateResult, CostProfile, Decision, Leak
from foray.records.quantities import format_ms, format_percent, format_points

UNSTEADY = 1.5  # p95 over p50 of the latency; from here on another process was probably using the machine


def cautions(
    decision: Decision, candidates: Sequence[CandidateResult], budget: Budget, leaks: Sequence[Leak] = ()
) -> list[str]:
    """Sentences to show above the table; none when test agrees with selection and the machine was idle.

    `leaks`: of the pick, where splits share images.
    """
    found = [_test_is_lower(candidate) for candidate in candidates if candidate.model == decision.pick]
    found += [_leaky(leak) for leak in leaks]
    found.append(_other_precision(candidates))
    if decision.outcome != "not_known" and (decision.prefer == "latency" or budget.max_latency_ms is not None):
        found.append(_unsteady(candidates))
        found.append(_near_the_bound(candidates, budget.max_latency_ms))
        found.append(_alike(decision, candidates))
    return [sentence for sentence in found if sentence]


def _test_is_lower(pick: CandidateResult) -> str:
    """Where the intervals do not overlap: more than chance, and more than the optimism of selection."""
    selection, test = pick.selection, pick.test
    if selection is None or test is None or test.high >= selection.low:
        return ""
    return (
        f"Test is {format_points(selection.value - test.value)} below selection for {pick.model} "
        f"({format_percent(test.value)}, n = {test.n:,}, against {format_percent(selection.value)}, "
        f"n = {selection.n:,}), more than chance explains: the test images differ from those of train and val, or "
        "train and val hold near-duplicates of each other. Trust the test accuracy, and select on images like "
        "those that the model will see."
    )


def _leaky(leak: Leak) -> str:
    """Splits that share images reward memorisation: both scores are given, with and without them."""
    earlier, split = ("train or val", "test") if leak.split == "test" else ("train", "val")
    told = (
        f"{leak.leaked:,} of {leak.n:,} {split} images are duplicates or near-duplicates of {earlier} images, "
        f"which makes {split} too easy"
    )
    if leak.without is None:
        return (
            f"{told}: no others remain, so its accuracy is no estimate. Split by what the images show (a group column)."
        )
    return (
        f"{told}: {leak.model} has {format_percent(leak.whole.value)} on all of them and "
        f"{format_percent(leak.without.value)} without these (n = {leak.without.n:,}). Split by what the images show "
        "(a group column), or let foray split: it keeps duplicates together."
    )


def _other_precision(candidates: Sequence[CandidateResult]) -> str:
    """Costs are of a reduced precision, accuracies of float32."""
    reduced = dict.fromkeys(
        f"{cost.runtime} {cost.precision}" for cost in (c.cost for c in candidates) if cost.precision != "float32"
    )
    if not reduced:
        return ""
    return (
        f"Costs are those of {' and '.join(reduced)}, accuracies those of the float32 runs. The loss of accuracy in "
        "reduced precision is measured when the pick is exported with your images (foray export ... --data); layers "
        "that must stay in float32 make the model slower."
    )


def _unsteady(candidates: Sequence[CandidateResult]) -> str:
    said = dict.fromkeys(reason for candidate in candidates for reason in candidate.cost.unsteady)
    if said:
        return f"Latency is unreliable: {'; '.join(said)}. Measure again when the device is idle."
    ratios = {
        candidate.model: candidate.cost.latency_p95_ms / candidate.cost.latency_p50_ms
        for candidate in candidates
        if candidate.cost.latency_p50_ms and candidate.cost.latency_p95_ms
    }
    wavering = {model: ratio for model, ratio in ratios.items() if ratio >= UNSTEADY}
    if not wavering:
        return ""
    worst = max(wavering, key=lambda model: wavering[model])
    return (
        f"Latency was not stable (p95 is {wavering[worst]:.1f} x p50 for {worst}): other processes used the device. "
        "Measure again when it is idle; the same command trains nothing twice."
    )


def _near_the_bound(candidates: Sequence[CandidateResult], limit_ms: float | None) -> str:
    """Where another measurement could put a model on the other side of the bound."""
    near = [
        f"{candidate.model} ({_range(candidate.cost)})"
        for candidate in candidates
        if limit_ms is not None and _holds(candidate.cost, limit_ms)
    ]
    if not near or limit_ms is None:
        return ""
    return (
        f"The bound of {format_ms(limit_ms)} lies within the interval of the latency of {', '.join(near)}: another "
        "measurement could decide otherwise."
    )


def _alike(decision: Decision, candidates: Sequence[CandidateResult]) -> str:
    """Where the pick is called cheaper than the most accurate, and the intervals of their latencies overlap."""
    costs = {candidate.model: candidate.cost for candidate in candidates}
    if decision.prefer != "latency" or decision.pick is None or decision.best is None or decision.pick == decision.best:
        return ""
    pick, best = costs[decision.pick], costs[decision.best]
    if pick.latency_p50_high_ms is None or best.latency_p50_low_ms is None:
        return ""
    if pick.latency_p50_high_ms < best.latency_p50_low_ms:
        return ""
    return (
        f"The latencies of {decision.pick} ({_range(pick)}) and {decision.best} ({_range(best)}) have "
        "overlapping intervals: do not rely on the saving."
    )


def _holds(cost: CostProfile, limit_ms: float) -> bool:
    low, high = cost.latency_p50_low_ms, cost.latency_p50_high_ms
    return low is not None and high is not None and low <= limit_ms < high


def _range(cost: CostProfile) -> str:
    return f"{format_ms(cost.latency_p50_low_ms or 0.0)} to {format_ms(cost.latency_p50_high_ms or 0.0)}"
