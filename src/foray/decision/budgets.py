"""Which of the user's bounds a network breaks."""

from __future__ import annotations

from foray.records import BrokenBound, Budget, CostProfile, Preference


def broken_bounds(cost: CostProfile, budget: Budget) -> list[BrokenBound]:
    """The bounds `cost` does not keep; a cost that is not known breaks a stated bound: nobody can vouch for it."""
    limits: tuple[tuple[Preference, float | None], ...] = (
        ("params", budget.max_params),
        ("macs", budget.max_macs),
        ("latency", budget.max_latency_ms),
        ("memory", budget.max_memory_bytes),
        ("file", budget.max_file_bytes),
    )
    broken = []
    for bound, limit in limits:
        if limit is None:
            continue
        actual = cost.cost(bound)
        if actual is None or actual > limit:
            broken.append(BrokenBound(bound=bound, limit=limit, actual=actual))
    return broken
