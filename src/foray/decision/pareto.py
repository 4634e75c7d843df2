"""The Pareto front of accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the (accuracy, cost) points that none dominates, cheapest first.

    A point dominates another when it is at least as accurate and at least as cheap, and better in one of the two;
    equal points do not dominate each other.
    """
    front = [
        name
        for name, (accuracy, cost) in points.items()
        if not any(
            other_accuracy >= accuracy and other_cost <= cost and (other_accuracy, other_cost) != (accuracy, cost)
            for other_accuracy, other_cost in points.values()
        )
    ]
    return sorted(front, key=lambda name: (points[name][1], name))
