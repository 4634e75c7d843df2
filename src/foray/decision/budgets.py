"""Costs in the decision: which of the user's bounds a network breaks, and the Pareto front of accuracy and cost."""

from __future__ import annotations

from collections.abc import Mapping

from foray.records import BrokenBound, Budget, CostProfile


def broken_bounds(cost: CostProfile, budget: Budget) -> list[BrokenBound]:
    """The bounds that `cost` does not keep. A cost that is not known breaks a stated bound.

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


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the (accuracy, cost) points that none dominates, cheapest first.

    A point dominates another when it is at least as accurate and at least as cheap, and better in one of the two;
    equal points do not dominate each other.
    """
    front: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][1], -points[name][0], name)):
        if not front or points[name][0] > points[front[-1]][0] or points[name] == points[front[-1]]:
            front.append(name)
    return front
