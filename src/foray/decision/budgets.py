"""Which of the user's bounds a network breaks."""

from __future__ import annotations

from foray.records import BrokenBound, Budget, CostProfile


def broken_bounds(cost: CostProfile, budget: Budget) -> list[BrokenBound]:
    """The bounds `cost` does not keep; a cost that is not known breaks a stated bound: nobody can vouch for it.

    A latency that was measured but not steady neither keeps its bound nor breaks it: see `latency_is_open`.
    """
    broken = []
    for bound, limit in budget.stated().items():
        if bound == "latency" and latency_is_open(cost, budget):
            continue
        actual = cost.cost(bound)
        if actual is None or actual > limit:
            broken.append(BrokenBound(bound=bound, limit=limit, actual=actual))
    return broken


def latency_is_open(cost: CostProfile, budget: Budget) -> bool:
    """Whether latency is bounded and `cost` cannot tell whether the bound is kept, because it was not steady."""
    return budget.max_latency_ms is not None and cost.latency_p50_ms is not None and not cost.latency_is_steady
